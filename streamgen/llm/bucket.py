"""Even spending of a told rate: the generic cell rate algorithm."""

from __future__ import annotations

import math

TOLERANCE_S = 0.05
"""A timer that is late by this much costs nothing: at 100/s, five calls may make up for it."""


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

    __slots__ = ("_burst", "_credit_s", "_due", "_interval_s")

    def __init__(self, rate: float, burst: float) -> None:
        self._interval_s = 1 / rate
        self._burst = burst
        self._due = -math.inf
        self._credit_s = 0.0  # how far `_due` may lie in the past: what a busy bucket got back

    def ready_at(self, cost: float) -> float:
        """The earliest time at which `cost` units conform."""
        if cost > self._burst:
            return self._due
        return self._due - (self._burst - cost) * self._interval_s

    def take(self, cost: float, now: float) -> None:
        """Count `cost` units that start now."""
        due = self._due
        if due < now:
            due = self._spend_credit(now)
        self._due = due = due + cost * self._interval_s
        if self._credit_s:
            self._credit_s = max(0.0, min(self._credit_s, now - due))

    def give_back(self, cost: float, newest_at: float) -> None:
        """Uncount `cost` units that did not start after all; the newest that did started then."""
        self._due = max(self._due - cost * self._interval_s, newest_at + self._interval_s)

    def adjust(self, difference: float, now: float) -> None:
        """Count `difference` more units (less, where it is negative) than were taken before.

        What comes back late, to a bucket that earned more than was asked for since, is no credit.
        """
        if difference > 0:
            self.take(difference, now)
            return
        if now - self._due > self._credit_s + self._burst * self._interval_s:
            return
        if self._due < now:
            self._due = self._spend_credit(now)
        self._due += difference * self._interval_s
        self._credit_s = max(0.0, now - self._due)

    def _spend_credit(self, now: float) -> float:
        """Where the bucket stands now, after a time in which it was asked for less than it earns."""
        idle_s = now - self._due - self._credit_s
        if idle_s > self._burst * self._interval_s:
            self._credit_s = 0.0
        return now - self._credit_s if idle_s > 0 else self._due
