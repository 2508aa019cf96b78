"""When the next call of an endpoint may start: rates, concurrency and what the server told, without a loop."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from streamgen.llm.retry import Count, Positive
from streamgen.llm.told import Told

AUTO_CONCURRENCY = 64

# A window of a minute never sees more than the limit, although requests that travel for up to a second
# longer than others come together at the server.
_WINDOW_S = 61.0
# How much may start at once: enough to make up for late timers, too little to be seen as a peak.
_BURST_S = 0.25


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user allows an endpoint: calls at once, requests and tokens a minute; None is unlimited."""

    concurrency: Count | Literal["auto"] = "auto"
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None


class Bucket:
    """Lets `per_minute` units pass in any minute, evenly: the generic cell rate algorithm (ITU-T I.371, annex A).

    `_due` is the theoretical arrival time: when everything that was taken will have been earned. A cost above the
    burst waits for a full bucket and leaves a debt. See also Brandur Leach, "Rate Limiting, Cells, and GCRA", 2015.

    >>> bucket = Bucket(per_minute=61)
    >>> bucket.take(1, now=0.0)
    >>> bucket.ready_at(1)
    1.0
    """

    def __init__(self, per_minute: float) -> None:
        self._burst = max(1.0, math.floor(per_minute * _BURST_S / 60))
        self._interval_s = _WINDOW_S / (per_minute + 1 - self._burst)
        self._due = -math.inf

    def ready_at(self, cost: float) -> float:
        """The earliest time at which `cost` units conform."""
        return self._due - (self._burst - min(cost, self._burst)) * self._interval_s

    def take(self, cost: float, now: float) -> None:
        """Count `cost` units that start now."""
        self._due = max(self._due, now) + cost * self._interval_s

    def adjust(self, difference: float, now: float) -> None:
        """Count `difference` more units (less, where it is negative) than were taken before."""
        if difference > 0:
            self.take(difference, now)
        else:
            self._due += difference * self._interval_s


class Pass:
    """What a call holds from its start to its end: a slot and the tokens that were reserved for it."""

    __slots__ = ("at", "tokens")

    def __init__(self, tokens: float, at: float) -> None:
        self.tokens = tokens
        self.at = at


class Limiter:
    """Decides when a call may start, and counts those in flight; every pass that `start` gives has to be ended.

    With `concurrency = "auto"` the cap is halved, at most once a round trip, when the server says that it has too
    much to do, and grows by one a round trip up to 64 (additive increase, multiplicative decrease: Chiu and Jain,
    1989; TCP Reno).
    """

    def __init__(self, limits: Limits) -> None:
        self._requests = Bucket(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = Bucket(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._adaptive = limits.concurrency == "auto"
        self._cap = float(AUTO_CONCURRENCY if limits.concurrency == "auto" else limits.concurrency)
        self._cut_at = -math.inf
        self._held_until = -math.inf
        self.in_flight = 0

    @property
    def concurrency(self) -> int:
        """How many calls may be in flight now."""
        return int(self._cap)

    def ready_at(self, tokens: float, now: float) -> float:
        """The earliest time at which a call of about `tokens` may start; infinity while no slot is free."""
        if self.in_flight >= self.concurrency:
            return math.inf
        at = self._held_until
        if self._requests:
            at = max(at, self._requests.ready_at(1))
        if self._tokens:
            at = max(at, self._tokens.ready_at(tokens))
        return at

    def start(self, tokens: float, now: float) -> Pass:
        """Take a slot, one request and the estimated tokens."""
        self.in_flight += 1
        if self._requests:
            self._requests.take(1, now)
        if self._tokens:
            self._tokens.take(tokens, now)
        return Pass(tokens, now)

    def withdraw(self, pass_: Pass, now: float) -> None:
        """Undo `start` for a call that was never sent."""
        if self._requests:
            self._requests.adjust(-1, now)
        self._finish(pass_, now, 0)

    def answered(self, pass_: Pass, now: float, used_tokens: float, told: Told | None) -> None:
        """An answer came, of use or not: room for one more call a round trip."""
        if self._adaptive:
            self._cap = min(AUTO_CONCURRENCY, self._cap + 1 / self._cap)
        self._finish(pass_, now, used_tokens)

    def refused(self, pass_: Pass, now: float, told: Told | None, *, by_rate: bool) -> float:
        """The server would not take the call: 429 (`by_rate`), 503 or 529. The time at which it may stand in line again.

        That is now, unless everybody has to stop: the limiter paces what is sent, so a refused call that goes to the
        front of the line needs no wait of its own.
        """
        self._overloaded(pass_.at, now)
        if told and told.retry_after_s:
            self._held_until = max(self._held_until, now + told.retry_after_s)
        self._finish(pass_, now, 0)
        return max(now, self._held_until)

    def failed(self, pass_: Pass, now: float, used_tokens: float, *, tells_load: bool) -> None:
        """The call failed in another way; timeouts and broken connections may come of too much load."""
        self._finish(pass_, now, used_tokens)

    def cancelled(self, pass_: Pass, now: float, used_tokens: float) -> None:
        """The call was cut off in flight; `used_tokens` is what it probably took."""
        self._finish(pass_, now, used_tokens)

    def _finish(self, pass_: Pass, now: float, used: float) -> None:
        self.in_flight -= 1
        if self._tokens:
            self._tokens.adjust(used - pass_.tokens, now)

    def _overloaded(self, started: float, now: float) -> None:
        """Halve the cap, unless that was done since the call started."""
        if self._adaptive and started >= self._cut_at:
            self._cap = max(1.0, min(self._cap, self.in_flight) / 2)
            self._cut_at = now
