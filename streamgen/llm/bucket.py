"""Even spending of a told rate: the generic cell rate algorithm."""

from __future__ import annotations

import math


class Bucket:
    """Lets `rate` units a second pass, and at most `burst` of them at once.

    Over any time T no more than `rate * T + burst` units start (ITU-T I.371, annex A: the cell rate with a tolerance
    of `burst / rate`). `_due` is the theoretical arrival time: when everything that was taken will have been earned.
    A cost above the burst waits for a full bucket and leaves a debt, as does a call that used more than it reserved.

    >>> bucket = Bucket(rate=1.0, burst=1.0)
    >>> bucket.take(1, now=0.0)
    >>> bucket.ready_at(1)
    1.0
    """

    __slots__ = ("_burst", "_due", "_interval_s")

    def __init__(self, rate: float, burst: float) -> None:
        self._interval_s = 1 / rate
        self._burst = burst
        self._due = -math.inf

    def ready_at(self, cost: float) -> float:
        """The earliest time at which `cost` units conform."""
        if cost > self._burst:
            return self._due
        return self._due - (self._burst - cost) * self._interval_s

    def take(self, cost: float, now: float) -> None:
        """Count `cost` units that start now."""
        due = self._due
        self._due = (due if due > now else now) + cost * self._interval_s

    def adjust(self, difference: float, now: float) -> None:
        """Count `difference` more units (less, where it is negative) than were taken before."""
        if difference > 0:
            self.take(difference, now)
        else:
            self._due += difference * self._interval_s
