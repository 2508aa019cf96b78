"""What was started within the last minute, call by call: the exact count behind a token limit."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

import msgspec

# Calls that start within this time are one entry, counted until the last of them is out of the window: no more than
# some 600 entries, for less than 0.2 % of the limit.
GRAIN_S = 0.1
_NOTHING = 1e-6  # what rounding leaves


class Entry(msgspec.Struct, gc=False):
    """Calls that started about `at` the same time, and the units that they take."""

    at: float
    units: float
    flying: int  # calls of it that are in flight
    presumed: float  # what those were thought to take at their start, by the usual measure


class Account:
    """Counts what was started within a sliding window; what is in flight stands in it with what was reserved for it.

    Calls count in full from their start on: at the start of a call no window of `window_s` that ends there holds more
    than `limit`, by what is known then. A single call above the limit waits for an empty window.

    >>> account = Account(limit=100.0, window_s=60.0)
    >>> entry = account.take(70.0, now=0.0)
    >>> account.ready_at(50.0), account.ready_at(30.0)
    (60.0, -inf)
    """

    __slots__ = ("_entries", "_limit", "_open_until", "_taken", "_window_s", "gone")

    def __init__(self, limit: float, window_s: float) -> None:
        self._limit, self._window_s = limit, window_s
        self._entries: deque[Entry] = deque()
        self._taken = 0.0  # the sum of the entries
        self._open_until = -math.inf
        self.gone = 0  # calls in flight that started before the window

    def __iter__(self) -> Iterator[Entry]:
        """The entries of the window, the oldest first."""
        return iter(self._entries)

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

    def take(self, units: float, now: float, presumed: float = 0.0) -> Entry:
        """Count what starts now, until it is settled with the entry that this returns."""
        self._taken += units
        if now >= self._open_until:
            self.forget(now)
            self._open_until = now + GRAIN_S
            self._entries.append(entry := Entry(now, units, 1, presumed))
            return entry
        entry = self._entries[-1]
        entry.at = now
        entry.units += units
        entry.flying += 1
        entry.presumed += presumed
        return entry

    def forget(self, now: float) -> None:
        """Drop what is out of the window."""
        entries, over = self._entries, now - self._window_s
        while entries and entries[0].at <= over:
            old = entries.popleft()
            self._taken -= old.units
            old.at = -math.inf
            self.gone += old.flying

    def settle(self, entry: Entry, difference: float, presumed: float = 0.0) -> None:
        """A call has ended that took so much more (less, where it is negative) than was reserved."""
        if entry.at == -math.inf:
            self.gone -= 1
            return
        self._taken += difference
        entry.units += difference
        entry.flying -= 1
        entry.presumed -= presumed
