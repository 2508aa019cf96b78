"""When the next call of an endpoint may start: rates, concurrency and what the server told, without a loop."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from streamgen.llm.bucket import TOLERANCE_S, Bucket
from streamgen.llm.concurrency import FIRST_CONCURRENCY, Concurrency
from streamgen.llm.pacer import Bounce, Pacer
from streamgen.llm.refusals import Refusals
from streamgen.llm.retry import Count, Positive
from streamgen.llm.token_limit import Reservation, TokenLimit
from streamgen.llm.told import Told
from streamgen.llm.windows import BELIEVED_S, Window

AUTO_CONCURRENCY = 256
"""So many callers come to an endpoint that finds its concurrency itself. Compared with 64 they cost 2 MB; at 200 ms a
call they bring three times as much."""

# A minute of the server's never sees more than the limit, although some calls travel 0.15 s longer than others (three
# round trips of a new connection), and TOLERANCE_S worth of them may make up for late timers.
_REQUEST_WINDOW_S = 60.15 + TOLERANCE_S
_INSTANT_S = 1e-4
# A told concurrency is taken up at once where answers come at once, and otherwise within 2 ms a call: so a rate that
# nobody told refuses a few calls at the start, and not all but the first.
_OPENING = 500.0
_STOP_S = 1.0  # where a server does not say for how long; then twice that, three times ...


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user allows an endpoint: calls at once, requests and tokens a minute; None is unlimited."""

    concurrency: Count | Literal["auto"] = "auto"
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None


class Pass(msgspec.Struct, gc=False):
    """What a call holds from its start to its end: a slot and the tokens that were reserved for it."""

    tokens: float
    at: float
    number: int  # of calls sent before it
    others: int  # of them were in flight
    refused: int  # of all calls before it was sent
    crowd: int  # the most others that a call before it found
    held: Reservation | None  # of a token limit


class Limiter:
    """Decides when a call may start, and counts those in flight; every pass that `start` gives has to be ended.

    What is told (`limits`, the server's headers) is kept; what is not is learned: the rate from 429s (`Pacer`), the
    concurrency from latencies and refusals (`Concurrency`). The tightest decides. Time never runs backwards in here:
    where the clock jumps back, everything that waits moves with it.
    """

    __slots__ = (
        "_auto", "_clock", "_crowd", "_fixed", "_held_until", "_is_told", "_opening", "_pacer",
        "_rate_before", "_refusals", "_request_window", "_requests", "_sent", "_skew_s", "_spaced_due",
        "_started_at", "_stops", "_token_window", "_tokens", "_told_rate", "in_flight",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
        self._told_rate = requests / 60 if requests else math.inf
        self._requests = _request_bucket(requests) if requests else None
        self._tokens = TokenLimit(tokens) if tokens else None
        self._auto = Concurrency() if limits.concurrency == "auto" else None
        self._fixed = 0 if limits.concurrency == "auto" else limits.concurrency
        is_wide = self._auto is None and self._fixed > FIRST_CONCURRENCY
        self._opening = Bucket(_OPENING, FIRST_CONCURRENCY) if is_wide else None  # until so many have started
        self._pacer: Pacer | None = None  # from the first refusal on
        self._refusals = Refusals()
        self._request_window, self._token_window = Window(), Window()
        self._is_told = False
        self._held_until = self._clock = self._spaced_due = self._started_at = -math.inf
        self._rate_before = math.inf  # everything was refused
        self._skew_s = 0.0
        self._sent = 0
        self._stops = 0  # since something passed
        self._crowd = -1  # since the last cut
        self.in_flight = 0

    @property
    def concurrency(self) -> int:
        """How many calls may be in flight now."""
        return self._auto.limit if self._auto else self._fixed

    @property
    def rate_per_s(self) -> float | None:
        """How many calls may start a second, as told by the user or learned from refusals; None where nobody knows."""
        learned = self._pacer.rate if self._pacer else math.inf
        rate = min(self._told_rate, learned)
        return rate if rate < math.inf else None

    @property
    def left(self) -> tuple[float | None, float | None]:
        """Requests and tokens that the server's headers leave at the moment; None where it does not tell."""
        return self._request_window.left(self._clock + self._skew_s), self._token_window.left(
            self._clock + self._skew_s
        )

    def ready_at(self, tokens: float, now: float) -> float:
        """The earliest time at which a call of about `tokens` may start; infinity while no slot is free."""
        auto = self._auto
        if self.in_flight >= (self._fixed if auto is None else auto.limit):
            return math.inf
        if now < self._clock:
            self._jump(now)
        at = self._held_until
        if auto is not None and auto.spacing_s:
            at = max(at, self._spaced_due - auto.tolerance_s)
        if self._opening is not None:
            at = max(at, self._opening.ready_at(1.0))
        if self._pacer is not None:
            at = max(at, self._pacer.ready_at())
        if self._requests is not None:
            at = max(at, self._requests.ready_at(1.0))
        if self._tokens is not None:
            at = max(at, self._tokens.ready_at(tokens, now + self._skew_s))
        if self._is_told:
            at = max(at, self._request_window.ready_at(1.0), self._token_window.ready_at(tokens))
        return at - self._skew_s

    def start(self, tokens: float, now: float) -> Pass:
        """Take a slot, one request and the estimated tokens."""
        if now < self._clock:
            self._jump(now)
        self._clock = now
        at = now + self._skew_s
        auto = self._auto
        if auto is not None and auto.spacing_s:
            self._spaced_due = max(self._spaced_due, at) + auto.spacing_s
        if self._opening is not None:
            self._opening.take(1.0, at)
            if self._sent >= self._fixed:
                self._opening = None
        if self._pacer is not None:
            self._pacer.take(at)
        if self._requests is not None:
            self._requests.take(1.0, at)
            self._started_at = at
        held = None if self._tokens is None else self._tokens.take(tokens, at)
        if self._is_told:
            self._request_window.take(1.0, at)
            self._token_window.take(tokens, at)
        others = self.in_flight
        pass_ = Pass(tokens, now, self._sent, others, self._refusals.total, self._crowd, held)
        if others > self._crowd:
            self._crowd = others
        self.in_flight = others + 1
        self._sent += 1
        return pass_

    def withdraw(self, pass_: Pass, now: float) -> None:
        """Undo `start` for a call that was never sent."""
        if self._pacer:
            self._pacer.give_back()
        if self._requests:
            is_newest = pass_.number == self._sent - 1
            self._requests.give_back(1.0, -math.inf if is_newest else self._started_at)
        self._request_window.give_back(1.0)
        self._token_window.give_back(pass_.tokens)
        self._finish(pass_, self._time(now), 0.0)

    def answered(self, pass_: Pass, now: float, used_tokens: float, told: Told | None) -> None:
        """An answer came, of use or not."""
        if now < self._clock:
            self._jump(now)
        self._clock = now
        self._refusals.has_passed = True
        if self._opening is not None:
            self._opening.give_back(2.0, -math.inf)  # one for it, and one more
        if self._auto is not None:
            self._auto.answered(pass_.number, now - pass_.at, used_tokens, self.in_flight, self._sent)
        if self._is_told:
            self._end_windows()
        if told is not None:
            self._hear(told, pass_, now + self._skew_s)
        self.in_flight -= 1
        if self._tokens is not None and pass_.held is not None:
            self._tokens.answered(pass_.held, now + self._skew_s, used_tokens, now - pass_.at)

    def refused(self, pass_: Pass, now: float, told: Told | None, *, by_rate: bool) -> None:
        """The server would not take the call (429 `by_rate`, 503, 529).

        It may stand in line again at once: what is sent is paced, or held back for everybody.
        """
        at = self._time(now)
        admitted = self._refusals.admitted(pass_.others, pass_.refused)
        is_first = self._refusals.take(pass_.number, self._sent, pass_.at + self._skew_s)
        self._give_way(pass_, at, admitted, by_rate=by_rate, is_first=is_first)
        if is_first:
            self._stop_if_nothing_passes(told, at, admitted)
        self._finish(pass_, at, 0.0)
        if told is not None:
            self._hear(told, pass_, at)

    def failed(self, pass_: Pass, now: float, used_tokens: float, *, tells_load: bool) -> None:
        """The call failed in another way; timeouts and broken connections may come of too much load."""
        auto = self._auto if tells_load and pass_.number > self._refusals.cut else None
        if auto and auto.broken(pass_.others, self._sent):
            self._refusals.cut = self._sent - 1
        self._finish(pass_, self._time(now), used_tokens)

    def cancelled(self, pass_: Pass, now: float, used_tokens: float) -> None:
        """The call was cut off in flight; `used_tokens` is what it probably took."""
        self._finish(pass_, self._time(now), used_tokens)

    def _finish(self, pass_: Pass, at: float, used: float) -> None:
        self.in_flight -= 1
        if self._is_told:
            self._end_windows()
        if self._tokens is not None and pass_.held is not None:
            self._tokens.settle(pass_.held, at, used)

    def _learned_pacer(self) -> Pacer:
        if self._pacer is None:
            self._pacer = Pacer()
        return self._pacer

    def _give_way(self, pass_: Pass, at: float, admitted: int, *, by_rate: bool, is_first: bool) -> None:
        """Send more slowly, or less at once after the first refusal of a round trip."""
        pacer = self._learned_pacer()
        if is_first:
            self._crowd = -1
            if self._auto and by_rate:
                self._refusals.vote(admitted, pass_.crowd)
        if by_rate and not (self._auto and self._refusals.blames_slots):
            pacer.refused(self._bounce(pass_, at, admitted, is_first=is_first))
            if self._auto:
                self._auto.is_paced = pacer.is_measured
            return
        pacer.count_refusal()
        if self._auto and is_first:
            self._auto.refused(admitted, self._sent)

    def _bounce(self, pass_: Pass, at: float, admitted: int, *, is_first: bool) -> Bounce:
        flight_s = max(_INSTANT_S, at - pass_.at - self._skew_s)
        sent_rate = max(0.5 * (self._sent - pass_.number), min(admitted, FIRST_CONCURRENCY)) / flight_s
        return Bounce(pass_.number, at - flight_s, at, sent_rate, is_first)

    def _stop_if_nothing_passes(self, told: Told | None, at: float, admitted: int) -> None:
        """Stop everybody for the time told, a little longer each time, and go on at the rate of before."""
        refusals = self._refusals
        if refusals.round_trips == 1:
            self._rate_before = self._learned_pacer().rate
            self._stops = 0
        wait_s = (told.retry_after_s if told else None) or _STOP_S
        if refusals.mean_everybody(admitted, wait_s):
            self._stops += 1
            self._held_until = at + min(BELIEVED_S, max(0.0, wait_s) * self._stops)
            self._learned_pacer().resume(self._rate_before, self._held_until)

    def _end_windows(self) -> None:
        self._request_window.ended()
        self._token_window.ended()

    def _hear(self, told: Told, pass_: Pass, at: float) -> None:
        since = self._sent - pass_.number - 1
        self._is_told = True
        self._request_window.tell(told.limit_requests, told.remaining_requests, told.reset_requests_s, since, at)
        tokens_since = since * pass_.tokens
        self._token_window.tell(told.limit_tokens, told.remaining_tokens, told.reset_tokens_s, tokens_since, at)

    def _time(self, now: float) -> float:
        if now < self._clock:
            self._jump(now)
        self._clock = now
        return now + self._skew_s

    def _jump(self, now: float) -> None:
        self._skew_s += self._clock - now
        self._clock = now


def _request_bucket(per_minute: float) -> Bucket:
    rate = per_minute / _REQUEST_WINDOW_S
    return Bucket(rate, 1.0 + rate * TOLERANCE_S)
