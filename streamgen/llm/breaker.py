"""Keeps calls away from a server that is down, and finds out when it is back."""

from __future__ import annotations

import math
from enum import StrEnum

_WEIGHT = 1 / 16  # of the newest outcome: 11 failures in a row, or more failures than answers for a while
_OPEN_ABOVE = 0.5
_FORGOTTEN = 1e-3


class State(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"  # calls go through
    OPEN = "open"  # none does until the next probe's time
    HALF_OPEN = "half_open"  # a probe is under way


class Breaker:
    """A circuit breaker: Michael Nygard, "Release It!" (2007), chapter 5; the states are those of Netflix's Hystrix.

    It opens when the failing share of the last outcomes passes one half, or at once where the caller knows that the
    server is away. One call may then probe the server, after `first_s`, and one more each time after a spacing that
    doubles with every probe up to `longest_s`. The first answer to a probe closes it; answers to calls that started
    before it opened do not.

    It has no clock: every method gets the time.
    """

    __slots__ = ("_first_s", "_opened_at", "_probe_at", "_share", "_spacing_s", "is_closed", "longest_s", "state")

    def __init__(self, first_s: float, longest_s: float) -> None:
        self.longest_s = longest_s
        self.is_closed = True
        self.state = State.CLOSED
        self._first_s = first_s
        self._share = 0.0
        self._opened_at = self._probe_at = self._spacing_s = 0.0

    @property
    def is_calm(self) -> bool:
        """Whether nothing has failed for long: an answer would change nothing."""
        return self._share == 0.0 and self.is_closed

    def ready_at(self) -> float:
        """When the next call may start."""
        return -math.inf if self.is_closed else self._probe_at

    def started(self, now: float) -> None:
        """A call starts: a probe, unless the breaker is closed."""
        if not self.is_closed:
            self.state = State.HALF_OPEN
            self._spacing_s = min(2 * self._spacing_s, self.longest_s)
            self._probe_at = now + self._spacing_s

    def succeeded(self, started: float) -> None:
        """A call that started then was answered."""
        self._share = self._share * (1 - _WEIGHT) if self._share > _FORGOTTEN else 0.0
        if not self.is_closed and started >= self._opened_at:
            self.is_closed, self.state, self._share = True, State.CLOSED, 0.0

    def failed(self, started: float, now: float, *, is_away: bool = False) -> None:
        """A call that started then failed; `is_away` says that no call can reach the server."""
        if self.is_closed:
            self._share += _WEIGHT * (1.0 - self._share)
            if is_away or self._share > _OPEN_ABOVE:
                self._open(now)
        elif started >= self._opened_at:
            self.state = State.OPEN

    def released(self, started: float, now: float) -> None:
        """A call that started then ended without an outcome (cancelled): the next one may take its place as a probe."""
        if not self.is_closed and started >= self._opened_at:
            self.state, self._probe_at = State.OPEN, min(self._probe_at, now + self._first_s)

    def _open(self, now: float) -> None:
        self.is_closed, self.state = False, State.OPEN
        self._opened_at, self._spacing_s = now, self._first_s
        self._probe_at = now + self._first_s

    def __repr__(self) -> str:
        return f"<Breaker {self.state}, {self._share:.0%} failing>"
