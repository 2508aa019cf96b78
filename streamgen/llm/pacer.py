"""A rate that nobody told, learned from refusals."""

from __future__ import annotations

import math

from streamgen.llm.bucket import TOLERANCE_S

# CUBIC (RFC 9438) cuts by 0.3 at a loss and grows along a cubic through the rate of the loss, flat around it.
_BLIND_CUT = 0.3
# A measured rate is approached from this far below: in a simulation (bucket of 100/s, burst 10, 20 ms) 1 to 5 % all
# keep 0.98 of the ceiling; more leaves the bucket full for longer.
_MEASURED_CUT = 0.03
# Calls until the measured rate is reached again; up to four times as many where more than two refusals came at the
# end of the last curve. So a refusal or two come in 300 calls (0.5 %), and a rate that doubles is found within 500.
# At less than a call a second, seconds count instead: so no curve takes longer than some minutes.
_CALM_CALLS = 100.0
# The count of calls between two refusals is off by one at most: from four on it tells the rate, and that error is how
# far below it the curve begins. So many refusals with fewer calls between them tell it as well. After the last number
# the measurement begins anew, so that it follows a drift.
_COUNTED_CALLS = 4
_MANY_REFUSALS = 16
_EPOCH_CALLS = 64
_OFF_BY = 2  # refusals come late by a round trip, and calls overtake each other
_SLOWEST = 1 / 60.0  # what a clock that jumps makes of a rate stops nobody for long
_BURST_CALLS = 16  # time that was not used is not lost: the server's bucket fills by about so much


class Pacer:
    """Sends as fast as calls pass: paces at the rate that was seen between two refusals, and probes gently above it.

    A server with a bucket refuses when it is empty. Between two refusals it lets pass exactly what it earns, so the
    calls sent and not refused between them, over the time between them, are its rate, whatever the latency (BBR
    measures delivery in the same way: Cardwell et al., ACM Queue, 2016). The rate then follows CUBIC's curve, counted
    in calls instead of seconds: up to the measured rate, flat, and ever faster above it, until the next refusal.
    Refusals that come before enough was seen cut the rate by 0.3, once a round trip. Time in which fewer calls came
    than were allowed counts for nothing: it proves nothing.
    """

    __slots__ = (
        "_calm", "_cut", "_due", "_epoch", "_epoch_at", "_idle_s", "_interval_s", "_paced", "_refused", "_top",
        "is_measured", "rate",
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
        self.is_measured = False  # over a whole epoch

    def ready_at(self) -> float:
        """The earliest time at which a call keeps to the rate."""
        return self._due - TOLERANCE_S

    def take(self, now: float) -> None:
        """Count a call that starts now."""
        if self._due <= now:
            self._idle_s += now - max(self._due, self._epoch_at)
            self._due = now + self._interval_s
            return
        self._due += self._interval_s
        self._paced += max(1.0, self._interval_s)
        below = 1.0 - self._paced / self._calm
        self._set(self._top * (1.0 - self._cut * below * below * below))

    def give_back(self) -> None:
        """Uncount a call that was not sent."""
        self._due -= self._interval_s
        self._refused += 1

    def count_refusal(self) -> None:
        """Count a call that did not pass and says no more."""
        self._refused += 1

    def refused(self, number: int, at: float, sent_rate: float) -> None:
        """The `number`-th call, sent `at` while about `sent_rate` calls a second were sent, met an empty bucket."""
        passed = number - self._epoch - 1 - self._refused
        self._aim(passed, at - self._epoch_at, sent_rate)
        if self._epoch < 0 or passed >= _EPOCH_CALLS:
            self._calm = _CALM_CALLS * min(4.0, max(1.0, self._refused / 2)) if self.is_measured else _CALM_CALLS
            self.is_measured = self._epoch >= 0
            self._epoch, self._epoch_at, self._refused = number, at, 0
            self._idle_s = 0.0
        else:
            self._refused += 1

    def _aim(self, passed: int, elapsed_s: float, sent_rate: float) -> None:
        """Begin a new curve, from what passed between two refusals."""
        used_s = elapsed_s - max(0.0, self._idle_s - _BURST_CALLS * self._interval_s)
        if self._epoch < 0 or used_s <= 0:
            self._begin(min(self.rate, sent_rate), _BLIND_CUT)
        elif self.is_measured and passed + _OFF_BY >= self._top * elapsed_s and passed < _EPOCH_CALLS:
            self._begin(self._top, _MEASURED_CUT)  # too early to say that less would pass than before
        elif passed >= _COUNTED_CALLS:
            rate = max(passed / elapsed_s, min(self.rate, passed / used_s))
            self._begin(rate, max(_MEASURED_CUT, 1 / passed))
        elif self._refused >= _MANY_REFUSALS:
            self._begin(min(self.rate, (passed + 1) / elapsed_s), _BLIND_CUT)
        else:
            self._begin(min(self.rate, sent_rate), _BLIND_CUT)

    def resume(self, rate: float) -> None:
        """Go on at a rate from before everything was refused."""
        if rate < math.inf:
            self._begin(rate, _MEASURED_CUT)
        else:
            self.rate = self._top = math.inf
            self._interval_s, self._due = 0.0, -math.inf

    def _begin(self, top: float, cut: float) -> None:
        self._top, self._cut, self._paced = max(top, _SLOWEST), cut, 0.0
        self._set(self._top * (1.0 - cut))

    def _set(self, rate: float) -> None:
        self.rate = rate
        self._interval_s = 1.0 / rate
