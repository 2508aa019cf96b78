"""What was started within the last minute: the exact count behind a token limit, and how well it is known."""

from __future__ import annotations

import math
from collections import deque

import msgspec

# Calls that start within this time are one entry, counted until the last of them is out of the window: no more than
# some 1,200 entries, for 0.1 % of the limit.
_GRAIN_S = 0.05
# Three standard deviations of a sum; one is about 1.25 mean errors.
_SPARE = 3.75
_NOTHING = 1e-6  # what rounding leaves
_WEIGHT = 0.05  # of the newest error; the estimates weigh theirs alike


class Entry(msgspec.Struct, gc=False):
    """Calls that started about `at` the same time, and the units that they take."""

    at: float
    units: float


class Account:
    """Counts what was started within a sliding window; what is in flight stands in it with what was reserved for it.

    A bucket spends a limit evenly, but calls that turn out larger than reserved, or large beside the limit, come on
    top of it. Here they count in full, from their start on: no window of `window_s` holds more than `limit`, as far as
    reservations hold. A single call above the limit waits for an empty window.

    >>> account = Account(limit=100.0, window_s=60.0)
    >>> entry = account.take(70.0, now=0.0)
    >>> account.ready_at(50.0), account.ready_at(30.0)
    (60.0, -inf)
    """

    __slots__ = ("_entries", "_limit", "_open_until", "_taken", "_window_s")

    def __init__(self, limit: float, window_s: float) -> None:
        self._limit, self._window_s = limit, window_s
        self._entries: deque[Entry] = deque()
        self._taken = 0.0  # the sum of the entries
        self._open_until = -math.inf

    def ready_at(self, units: float) -> float:
        """The earliest time at which so much fits."""
        excess = min(self._taken + units - self._limit, self._taken)
        if excess <= _NOTHING:
            return -math.inf
        at = -math.inf
        for entry in self._entries:
            at = entry.at + self._window_s
            excess -= entry.units
            if excess <= _NOTHING:
                break
        return at

    def take(self, units: float, now: float) -> Entry:
        """Count what starts now, until it is settled with the entry that this returns."""
        self._taken += units
        if now < self._open_until:
            entry = self._entries[-1]
            entry.at, entry.units = now, entry.units + units
            return entry
        entries, over = self._entries, now - self._window_s
        while entries and entries[0].at <= over:
            old = entries.popleft()
            self._taken -= old.units
            old.at = -math.inf
        if not entries:
            self._taken = units  # without what rounding has left
        self._open_until = now + _GRAIN_S
        entries.append(entry := Entry(now, units))
        return entry

    def settle(self, entry: Entry, difference: float) -> None:
        """Count so much more (less, where it is negative) than was taken."""
        if entry.at > -math.inf:
            entry.units += difference
            self._taken += difference


class Guess:
    """How wrong the estimates of calls are, and so what those in flight may take beyond them.

    Long calls are in flight for longer: among those in flight at a moment there are more of them than among all
    (the inspection paradox), so an error counts there by the time that its call took.
    """

    __slots__ = ("_error", "_error_s", "_more", "_s", "bias", "surprise")

    def __init__(self) -> None:
        self.bias = 0.0  # by how much estimates are too low in the mean, 0 where they are too high
        self.surprise = 0.0  # how far from the mean error single ones are
        self._error = self._error_s = self._s = self._more = 0.0

    def learn(self, estimate: float, used: float, seconds: float) -> None:
        """A call took so much, and was in flight for so long. An estimate far too high says no more than one twice."""
        error = used - (estimate if estimate < 2.0 * used else 2.0 * used)
        self._error += _WEIGHT * (error - self._error)
        self.bias = bias = self._error if self._error > 0.0 else 0.0
        self.surprise += _WEIGHT * (abs(error - self._error) - self.surprise)
        self._error_s += _WEIGHT * (error * seconds - self._error_s)
        self._s += _WEIGHT * (seconds - self._s)
        more = self._error_s / self._s - bias if self._s > 0.0 else 0.0
        self._more = more if more > 0.0 else 0.0

    def spare(self, in_flight: int) -> float:
        """What so many calls and one more may take beyond their estimates and the bias."""
        calls = in_flight + 1
        return self._more * calls + _SPARE * self.surprise * math.sqrt(calls)
