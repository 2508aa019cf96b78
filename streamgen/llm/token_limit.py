"""Tokens a minute: paced, counted exactly, and with room for what nobody can know yet."""

from __future__ import annotations

import math

import msgspec

from streamgen.llm.account import GRAIN_S, Account, Entry
from streamgen.llm.bucket import Bucket
from streamgen.llm.foresight import Foresight

WINDOW_S = 60.2
"""A minute of the server's, although some calls travel 0.2 s longer than others."""

# The pace leaves room for calls whose latencies differ by a second, where a server counts them when they end. What
# could not be used while calls in flight were thought to be large is made up for at once: a burst of 1 s instead of
# 5 s uses 0.03 less of the limit in a simulation (20 s a call, log-normal).
PACE_S = 62.0
BURST_S = 10.0
HASTE = 2.0
"""What calls give back that took less than was reserved is caught up on at no more than this times the pace."""


class Reservation(msgspec.Struct, gc=False):
    """What a call holds of a token limit from its start to its end."""

    tokens: float  # by its estimate
    bias: float  # on top of them, for estimates that are too low
    usual: float  # estimate at its start
    entry: Entry

    @property
    def cost(self) -> float:
        """What is counted for the call until it ends."""
        return self.tokens + self.bias


class TokenLimit:
    """Decides when calls may start under a limit of tokens a minute, from what is known of them at the moment.

    A call counts at its start, in full: with what was reserved for it (its estimate, and how far estimates were too
    low) while it is in flight, with what it took from its end on; nothing where it was not sent. Then, at each start:

    1. The calls of the last `WINDOW_S` and this one hold no more than the limit, by what is known. So neither does any
       minute; a window of `w` seconds holds no more than the limit for each minute begun. Where no call takes more
       than was reserved, that is what they really take; where some do, no window holds more above the limit than the
       calls took by surprise that were in flight at the last start in it.
    2. In a window of any length `w` up to this start no more is reserved than a burst and `HASTE` times the pace:
       `BURST_S * limit / 60 + HASTE * w * limit / PACE_S`. (A call that ended before
       another one started counts with what it took.)

    A single call above the limit starts in an empty window; one above the burst starts when the bucket is full.
    Surprises are provided for (`Foresight`): as a rule there is room for them. That takes no more than half of the
    limit for what is uncertain, so that nobody starves.
    """

    __slots__ = (
        "_account",
        "_burst",
        "_foresight",
        "_fresh_until",
        "_haste_due",
        "_haste_s",
        "_is_stale",
        "_newest",
        "_pace",
    )

    def __init__(self, per_minute: float) -> None:
        self._burst = per_minute / 60.0 * BURST_S
        self._pace = Bucket(per_minute / PACE_S, self._burst)
        self._haste_s, self._haste_due = PACE_S / per_minute / HASTE, -math.inf  # a bucket without anything given back
        self._account = Account(per_minute, WINDOW_S)
        self._foresight = Foresight(per_minute)
        self._fresh_until = -math.inf
        self._newest: Reservation | None = None
        self._is_stale = False  # calls have started or ended since those in flight were looked at

    def ready_at(self, tokens: float, now: float) -> float:
        """The earliest time at which a call of about so many tokens may start, by what is known now."""
        foresight = self._foresight
        if now >= self._fresh_until:
            self._look(now)
        cost = tokens + foresight.bias
        at, room_at = self._pace.ready_at(cost), self._account.ready_at(cost + foresight.spare)
        if room_at > self._fresh_until and self._is_stale:
            room_at = self._fresh_until
        full_s = (self._burst - cost) * self._haste_s
        return max(at, room_at, self._haste_due - full_s if full_s > 0.0 else self._haste_due)

    def take(self, tokens: float, now: float) -> Reservation:
        """Count a call that starts now."""
        foresight = self._foresight
        bias, usual = foresight.bias, foresight.start(tokens)
        cost = tokens + bias
        self._pace.take(cost, now)
        due = self._haste_due
        self._haste_due = (due if due > now else now) + cost * self._haste_s
        self._is_stale = True
        self._newest = held = Reservation(tokens, bias, usual, self._account.take(cost, now, usual + bias))
        return held

    def answered(self, held: Reservation, now: float, used: float, seconds: float) -> None:
        """A call took so much and so long: learn of it, and settle it."""
        usual = used - held.tokens + held.usual
        self._foresight.learn(usual if usual > 0.0 else 0.0, seconds if seconds > 0.0 else 0.0)
        self.settle(held, now, used)

    def settle(self, held: Reservation, now: float, used: float) -> None:
        """Count what a call took instead of what was reserved for it."""
        bias = held.bias
        difference = (used if used > 0.0 else 0.0) - held.tokens - bias
        self._pace.adjust(difference, now)
        if held is self._newest and difference < 0.0:
            self._haste_due += difference * self._haste_s
        self._account.settle(held.entry, difference, held.usual + bias)
        self._is_stale = True

    def _look(self, now: float) -> None:
        self._account.forget(now)
        self._foresight.look(self._account, self._account.gone, now)
        self._fresh_until, self._is_stale = now + GRAIN_S, False
