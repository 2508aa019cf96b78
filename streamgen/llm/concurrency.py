"""How many calls at once bring most: found out by trying, whatever kind of server it is."""

from __future__ import annotations

import math

from streamgen.llm.bucket import TOLERANCE_S

MOST_CONCURRENCY = 1024
"""More is never tried: vLLM's default for sequences at once (`max_num_seqs`) is 256 to 1,024."""

FIRST_CONCURRENCY = 10  # TCP's initial window (RFC 6928)
_STEP = 0.125  # of the smallest probe: two calls at 16
_SPREAD_S = 2.0  # over half of which a full cap is spread at most: a slow answer keeps nobody waiting
# After a refusal calls are spread more exactly: sent in waves, they find the burst of a rate to be a cap.
_WATCHFUL_S = 0.002
_HALF = 0.5
_CALLS_A_PROBE = 100  # after a refusal; a probe costs one or two of them
_SPACING = 2.0  # calls are sent up to twice as fast as the cap and the latency say (Linux: tcp_pacing_ss_ratio)
_ROUNDS = 2  # a phase lasts until so many calls a slot have ended
_MOST_ROUNDS = 8  # of a probe in doubt
_LEAST_CALLS = 32
_DWELLS = 16  # phases between two probes, at most
# A step up has to bring a fifth of what it would bring without any queue. Utility = throughput / concurrency ** 0.2:
# 0 would queue for ever, 0.5 is Kleinrock's power, which stops a batching server at half its throughput.
_PRICE = 0.2
# Latencies below this are no queue worth looking at: a client alone takes 13 ms with 64 calls in flight at 5,000/s.
_NO_QUEUE_S = 0.02
_CUT = 0.7  # CUBIC's (RFC 9438), where a server breaks under load
_BROKEN = 0.05  # of the calls, and three of them: random faults stay below it, and it is above BBRv2's 2 % of packets
_LEAST_BROKEN = 3


class Level:
    """What was seen at one concurrency: seconds a token and slot, and how sure that is.

    Time per token, so that longer answers are no sign of a queue. A ratio of sums; its error is that of the residuals
    (Cochran, Sampling Techniques, 1977, 6.4), so heavy tails make it unsure, never wrong.
    """

    __slots__ = ("calls", "crowd", "full", "seconds", "ss", "st", "tokens", "tt")

    def __init__(self) -> None:
        self.calls = self.full = self.crowd = 0
        self.seconds = self.tokens = self.ss = self.st = self.tt = 0.0

    def merge(self, other: Level) -> None:
        """Take in what another phase saw at the same concurrency."""
        self.calls += other.calls
        self.seconds += other.seconds
        self.tokens += other.tokens
        self.ss += other.ss
        self.st += other.st
        self.tt += other.tt

    @property
    def pace(self) -> float:
        """Seconds a token."""
        return self.seconds / self.tokens

    @property
    def variance(self) -> float:
        """The squared relative error of the pace."""
        pace = self.pace
        residual = self.ss - 2 * pace * self.st + pace * pace * self.tt
        return max(0.0, residual) / (self.seconds * self.seconds) if self.seconds > 0 else 0.0


class Concurrency:
    """A cap that climbs while more calls at once bring more, and looks around from time to time.

    It doubles each round, as soon as half of the calls at a level have ended (TCP's slow start), until a doubling
    brings no more (BBR's start-up), then compares the level with one an eighth above or below and keeps the better one
    (PCC: Dong et al., NSDI 2015), where better is throughput over a small power of the concurrency, and stays for
    longer each time that nothing was better. By Little's law the latency at a level is the throughput, if the level is
    used: a phase in which calls did not wait for the cap says nothing and changes nothing (RFC 7661). Netflix's
    gradient2 and TCP Vegas compare with the shortest latency instead; heavy tails and batching servers defeat that.
    From 10 to 64 calls at once it takes 3 latencies of 20 ms or 200 ms, and 4.6 of 1 s, where they are spread more.

    Invariant: 1 <= limit <= MOST_CONCURRENCY.
    """

    __slots__ = (
        "_base", "_base_limit", "_broken", "_direction", "_dwell", "_ended", "_from", "_is_starting", "_level",
        "_lowest", "_probe_from", "_rest", "_step", "_target", "is_paced", "limit", "spacing_s",
        "tolerance_s",
    )  # fmt: skip

    def __init__(self) -> None:
        self.limit = FIRST_CONCURRENCY
        self._is_starting = True
        self._base: Level | None = None  # the level to compare with
        self._base_limit = 0
        self._probe_from = 0  # the limit that is returned to where a probe is no better; 0 while none runs
        self._direction = 1
        self._step = _STEP
        self._lowest = MOST_CONCURRENCY  # the fewest others that a call that broke found
        self.spacing_s = 0.0
        self.tolerance_s = TOLERANCE_S  # how late a timer may be at no cost
        self._rest = self._dwell = 1  # phases until the next probe
        self._broken = self._ended = 0
        self.is_paced = False  # by a rate that was learned
        self._begin(0, self.limit)

    def answered(self, number: int, seconds: float, tokens: float, in_flight: int, sent: int) -> None:
        """The `number`-th call was answered; `in_flight` with it, `sent` in all."""
        self._ended += 1
        if number < self._from:
            return
        level = self._level
        if tokens < 1.0:
            tokens = 1.0
        if seconds < 0.0:  # the clock jumped
            seconds = 0.0
        level.crowd += in_flight
        if in_flight >= self.limit:
            level.full += 1
        level.seconds += seconds
        level.tokens += tokens
        level.ss += seconds * seconds
        level.st += seconds * tokens
        level.tt += tokens * tokens
        level.calls += 1
        if level.calls >= self._target:
            self._phase_ended(sent)

    def refused(self, admitted: int, sent: int) -> None:
        """The server took `admitted` calls and no more."""
        self.tolerance_s = _WATCHFUL_S
        self._settle(admitted if admitted < self.limit else int(self.limit * _CUT), sent)

    def broken(self, others: int, sent: int) -> bool:
        """A call was lost as calls are under load; whether so many were that the cap was cut."""
        if self._ended >= max(self.limit, _LEAST_CALLS):
            self._ended = self._broken = 0
            self._lowest = MOST_CONCURRENCY
        self._ended += 1
        self._broken += 1
        self._lowest = min(self._lowest, others)
        if self._broken < max(_LEAST_BROKEN, _BROKEN * self.limit):
            return False
        self._ended = self._broken = 0
        self._settle(max(int(self.limit * _CUT), min(self._lowest, self.limit - 1)), sent)
        return True

    def _settle(self, limit: int, sent: int) -> None:
        self.limit = min(MOST_CONCURRENCY, max(1, limit))
        self._is_starting, self._base, self._probe_from = False, None, 0
        self._direction, self._step = 1, _STEP
        calls = _CALLS_A_PROBE * max(1, round(_STEP * self.limit))
        self._rest = self._dwell = min(2 * self._dwell, 1 + calls // max(_ROUNDS * self.limit, _LEAST_CALLS))
        self._begin(sent, _ROUNDS * self.limit)

    def _begin(self, sent: int, calls: int) -> None:
        self._level = Level()
        self._from = sent
        self._target = max(1, calls // 2) if self._is_starting else max(calls, _LEAST_CALLS)

    def _phase_ended(self, sent: int) -> None:
        level = self._level
        if self.is_paced and level.full < _HALF * level.calls:
            self._make_room(level, sent)
        elif level.full * self.limit < _HALF * level.calls and not self._is_crowded(level):
            self._unused(sent)
        else:
            self._judge(level, sent)
            self._space(level.seconds / level.calls)

    def _judge(self, level: Level, sent: int) -> None:
        if self._is_starting:
            self._started(level, sent)
        elif self._probe_from:
            self._probed(level, sent)
        else:
            self._dwelled(level, sent)

    def _space(self, seconds: float) -> None:
        """Spread calls over a part of the time that one takes."""
        self.spacing_s = min(seconds, _SPREAD_S) / (_SPACING * self.limit)
        if self.spacing_s * self.limit < self.tolerance_s:  # none of it would be seen
            self.spacing_s = 0.0

    def _make_room(self, level: Level, sent: int) -> None:
        """The rate is what limits: the cap only keeps out of its way."""
        self._unused(sent)
        if level.full:
            self.limit = min(MOST_CONCURRENCY, self.limit + max(1, round(self.limit * _STEP)))

    def _is_crowded(self, level: Level) -> bool:
        """Whether a doubling, though not used up, can be judged, and was for nothing."""
        if not self._is_starting or self._base is None:
            return False
        growth = math.log(level.crowd / level.calls / self._base_limit)
        return growth > 0 and not self._is_better(self._base, level, growth, 1.0)

    def _unused(self, sent: int) -> None:
        """Too few calls came for the cap: leave a probe, learn nothing."""
        self.spacing_s = 0.0
        if self._probe_from:
            self.limit, self._probe_from = self._probe_from, 0
        self._begin(sent, self.limit if self._is_starting else _ROUNDS * self.limit)

    def _started(self, level: Level, sent: int) -> None:
        base = self._base
        crowd = min(self.limit, level.crowd / level.calls)
        if base is not None and not self._is_better(base, level, math.log(crowd / self._base_limit), 1.0):
            self._is_starting, self._base = False, None
            self.limit = self._base_limit
            self._direction, self._step = -1, _HALF
        elif self.limit == MOST_CONCURRENCY:
            self._is_starting, self._base = False, None
        else:
            self._base, self._base_limit = level, self.limit
            self.limit = min(MOST_CONCURRENCY, 2 * self.limit)
        self._begin(sent, self.limit if self._is_starting else _ROUNDS * self.limit)

    def _dwelled(self, level: Level, sent: int) -> None:
        if self._base is not None and self._has_drifted(self._base, level):
            self._rest = self._dwell = 1
            self._direction = -1 if level.pace > self._base.pace else 1
            self._step = _HALF
            self._base = None
        if self._base is not None and self._base_limit == self.limit:
            self._base.merge(level)
        else:
            self._base, self._base_limit = level, self.limit
        self._rest -= 1
        if self._rest <= 0:
            self._probe()
        self._begin(sent, _ROUNDS * self.limit)

    def _probe(self) -> None:
        self._probe_from = self.limit
        step = max(1, round(self.limit * self._step))
        self.limit = min(MOST_CONCURRENCY, max(1, self.limit + self._direction * step))

    def _probed(self, level: Level, sent: int) -> None:
        assert self._base is not None
        if level.calls < _MOST_ROUNDS * self.limit and self._is_unsure(self._base, level):
            self._target *= 2
            return
        growth = math.log(self.limit / self._base_limit)
        if growth and self._is_better(self._base, level, growth, 0.0 if growth > 0 else -1.0):
            self._base, self._base_limit = level, self.limit
            self._step, self._dwell = min(1.0 if self._direction > 0 else _HALF, 2 * self._step), 1
            self._probe()
        else:
            self.limit, self._probe_from = self._probe_from, 0
            if self._step <= _STEP:
                self._rest = self._dwell = min(_DWELLS, 2 * self._dwell)
            self._direction, self._step = -self._direction, max(_STEP, self._step / 2)
        self._begin(sent, _ROUNDS * self.limit)

    def _has_drifted(self, before: Level, now: Level) -> bool:
        change = abs(math.log(now.pace / before.pace)) if now.pace > 0 and before.pace > 0 else 0.0
        return change > math.log(1.25) + 2 * math.sqrt(before.variance + now.variance)

    def _is_unsure(self, old: Level, new: Level) -> bool:
        growth = math.log(self.limit / self._base_limit)
        gain = (1 - _PRICE) * growth - math.log(new.pace / old.pace)
        return abs(gain) < math.sqrt(old.variance + new.variance)

    def _is_better(self, old: Level, new: Level, growth: float, errors: float) -> bool:
        """Whether a level that is `exp(growth)` times as wide is worth its price, plus `errors` times the doubt."""
        if new.seconds < _NO_QUEUE_S * new.calls or old.seconds <= 0:
            return growth > 0
        gain = (1 - _PRICE) * growth - math.log(new.pace / old.pace)
        return gain + errors * math.sqrt(old.variance + new.variance) > 1e-9
