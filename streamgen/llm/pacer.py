"""A rate that nobody told, learned from refusals."""

from __future__ import annotations

import math
from typing import NamedTuple

# How far a timer may be late at no cost. Less than for told rates: around the ceiling the server's bucket is empty.
_TOLERANCE_S = 0.02
# CUBIC (RFC 9438) grows along a cubic through the rate of the last loss, flat around it. Counted in calls here: so
# many from the beginning to the flat part, and more than are sent before a refusal would be heard of. The search begins
# at the flat part; where the rate has doubled, another curve begins.
_SEARCH_CALLS = 10.0
_SEARCH_STEEPNESS = 0.3
_DOUBLED = 2.5  # (2.5 - 1) ** 3 * 0.3 = 1
_CALM_CALLS = 100.0
_UNHEARD = 1.5
# A measured rate is approached from this far below: in a simulation (bucket of 100/s, burst 10, 20 ms) 1 to 5 % all
# keep 0.98 of the ceiling; more leaves the bucket full for longer. A refusal or two come in 200 calls.
_MEASURED_CUT = 0.03
# The calls that pass between two refusals are counted to one; so many tell the rate, and after the last number the
# measurement begins anew, so that it follows a drift.
_COUNTED_CALLS = 16
_EPOCH_CALLS = 64
_OFF_BY = 2.0  # refusals come late by a round trip, and calls overtake each other
# Where the rate had grown by so much, or the curve was followed for so long, the server's bucket may have run over
# before: nothing is known of the time up to the refusal but that the rate is a little lower.
_GROWN = 1.5
_DRIFTED = 3.0
_BLIND = 0.8
_IDLE_CALLS = 4.0
_LOOKING = 2.0  # calls after everybody had to stop, before more is sent
_SLOWEST = 1 / 60.0  # what a clock that jumps makes of a rate stops nobody for long


class Bounce(NamedTuple):
    """A call that met an empty bucket."""

    number: int
    at: float  # when it was sent
    heard_at: float
    sent_rate: float  # about how many calls a second were sent meanwhile
    is_first: bool  # it was sent after the refusal before it was heard of


class Pacer:
    """Sends as fast as calls pass: finds the rate from above, measures it, and probes gently beyond it.

    A server with a bucket refuses when it is empty. From one refusal to a later one it lets pass what it earns, to
    one call: `passed / elapsed` is its rate, whatever the latency (BBR measures delivery in the same way: Cardwell et
    al., ACM Queue, 2016), and `(passed + 1) / elapsed` is never below it. While few calls are counted the latter is
    the pace. So the bucket stays empty and nothing is lost, and the refusals grow with the logarithm of the calls: the
    time since the first one doubles with each that nothing passes before. Once enough are counted the rate follows
    CUBIC's curve, up to what was measured, flat, and ever faster above it, until the next refusal. Where the bucket
    may have run over in between (too few calls came, or the pace had to grow by much) the count begins anew.
    """

    __slots__ = (
        "_calm", "_cut", "_due", "_epoch", "_epoch_at", "_flight_s", "_from", "_idle_s", "_interval_s", "_paced",
        "_refused", "_top", "is_measured", "rate",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rate = math.inf
        self._top = math.inf  # the rate at the cubic's inflection
        self._cut = _MEASURED_CUT  # how far below it the curve began
        self._calm = _CALM_CALLS
        self._paced = 0.0  # calls since the curve began for which the rate was what they waited for
        self._interval_s = 0.0
        self._due = -math.inf
        self._epoch = -1  # the number of the refused call from which the measurement runs, -1 before the first
        self._epoch_at = 0.0
        self._refused = 0  # since then
        self._idle_s = 0.0  # since then, in which fewer calls came than were allowed
        self._from = 0.0  # the rate at which the search began
        self._flight_s = 0.0  # until a refusal is heard of
        self.is_measured = False

    def ready_at(self) -> float:
        """The earliest time at which a call keeps to the rate."""
        return self._due - _TOLERANCE_S

    def take(self, now: float) -> None:
        """Count a call that starts now."""
        if self._due <= now:
            self._idle_s += now - max(self._due, self._epoch_at)
            self._due = now + self._interval_s
            return
        self._due += self._interval_s
        self._paced += max(1.0, self._interval_s)  # below a call a second, seconds: no curve takes more than minutes
        if not self.is_measured and self._paced > _DOUBLED * self._calm:
            self._grow()
            return
        below = 1.0 - self._paced / self._calm
        self._set(self._top * (1.0 - self._cut * below * below * below))

    def _grow(self) -> None:
        """Take what has been reached for the next curve's beginning, so that the rate doubles and not more."""
        self._top = self.rate
        self._calm = max(_SEARCH_CALLS, _UNHEARD * self._top * self._flight_s)
        self._paced = self._calm

    def give_back(self) -> None:
        """Uncount a call that was not sent."""
        self._due -= self._interval_s
        self._refused += 1

    def count_refusal(self) -> None:
        """Count a call that did not pass and says no more."""
        self._refused += 1

    def refused(self, bounce: Bounce) -> None:
        """Slow down where a refusal says more than that the bucket is about as full as it was thought to be."""
        flight_s = bounce.heard_at - bounce.at
        self._flight_s = flight_s if self._epoch < 0 else self._flight_s + 0.3 * (flight_s - self._flight_s)
        if self._epoch < 0:
            self._count_from(bounce)
            self._search(min(self.rate, bounce.sent_rate), bounce.heard_at)
        elif bounce.number > self._epoch:
            passed = max(0, bounce.number - self._epoch - 1 - self._refused)
            elapsed_s = max(1e-4, bounce.at - self._epoch_at)
            self._refused += 1
            if self._idle_s * self.rate > _IDLE_CALLS:
                self._count_from(bounce)
            elif self.is_measured:
                self._confirm(bounce, passed, elapsed_s)
            else:
                self._narrow(bounce, passed, elapsed_s)

    def resume(self, rate: float, at: float) -> None:
        """Go on `at` some time, after everything was refused: a few calls see whether that is over, then as before."""
        self._epoch = -1
        if self._flight_s:
            self._search(min(rate, _LOOKING / self._flight_s), at)
            self._due -= self._interval_s

    def _narrow(self, bounce: Bounce, passed: int, elapsed_s: float) -> None:
        """A refusal while the rate is searched for."""
        if self.rate > _GROWN * self._from:
            self._count_from(bounce)
            self._search(_BLIND * self.rate, bounce.heard_at)
        elif passed >= _COUNTED_CALLS:
            self._measured(passed, elapsed_s)
        elif (passed + 1) / elapsed_s < self.rate:
            self._search((passed + 1) / elapsed_s, bounce.heard_at, passed)

    def _confirm(self, bounce: Bounce, passed: int, elapsed_s: float) -> None:
        """A refusal at a measured rate: about when it was to be expected, or the rate is another one."""
        if self._paced > _DRIFTED * self._calm:
            self._count_from(bounce)
            self._search(_BLIND * self.rate, bounce.heard_at)
        elif passed + _OFF_BY < _BLIND * self._top * elapsed_s:
            self._count_from(bounce)
            self._search(min(self.rate, max(1, passed) / elapsed_s), bounce.heard_at)
        elif bounce.is_first and passed >= _COUNTED_CALLS:
            self._measured(passed, elapsed_s)
            if passed >= _EPOCH_CALLS:
                self._count_from(bounce)
        elif bounce.is_first:
            self._begin(self._top, _MEASURED_CUT)

    def _count_from(self, bounce: Bounce) -> None:
        self._epoch, self._epoch_at, self._refused, self._idle_s = bounce.number, bounce.at, 0, 0.0

    def _measured(self, passed: int, elapsed_s: float) -> None:
        self.is_measured = True
        self._begin(passed / elapsed_s, max(_MEASURED_CUT, 1.0 / passed))

    def _search(self, rate: float, at: float, passed: int = 0) -> None:
        """Go on at this rate, and soon faster, the sooner the fewer calls passed that tell it."""
        self.is_measured = False
        self._top = self._from = max(rate, _SLOWEST)
        self._cut = _SEARCH_STEEPNESS
        self._calm = self._paced = max(_SEARCH_CALLS, 2.0 * passed, _UNHEARD * self._top * self._flight_s)
        self._set(self._top)
        self._due = at + self._interval_s + _TOLERANCE_S

    def _begin(self, top: float, cut: float) -> None:
        self._top, self._cut, self._paced = max(top, _SLOWEST), cut, 0.0
        self._calm = max(_CALM_CALLS, _UNHEARD * self._top * self._flight_s)
        self._set(self._top * (1.0 - cut))

    def _set(self, rate: float) -> None:
        self.rate = rate
        self._interval_s = 1.0 / rate
