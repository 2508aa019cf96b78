"""One server and key of an endpoint, with its limits, its breaker and its counts."""

from __future__ import annotations

import math
from collections import Counter, deque

from streamgen.llm.breaker import Breaker
from streamgen.llm.limits import AUTO_CONCURRENCY, Limiter, Limits, Pass
from streamgen.llm.model import Model
from streamgen.llm.price import Price
from streamgen.llm.retry import FATAL, PAID, CallError, Kind, RetryPolicy
from streamgen.llm.statistics import LaneState, LaneStatistics, latency_of
from streamgen.llm.tokens import sane
from streamgen.llm.told import Told
from streamgen.record import Usage

_REFUSED = frozenset({Kind.RATE_LIMITED, Kind.OVERLOADED})
_NOT_WORKED_ON = frozenset({*FATAL, Kind.BAD_REQUEST})  # the server took no tokens
_DEFECTS = frozenset({Kind.SERVER, Kind.RESET, Kind.TIMEOUT, Kind.UNREACHABLE})
_TELLS_LOAD = frozenset({Kind.TIMEOUT, Kind.RESET})


class Lane:
    """A model at one address under one key. Calls are started, and then ended in one of the other ways, each once.

    `out` says why no call can succeed here any more: a bad key, a spent quota, an unknown model.
    """

    def __init__(
        self,
        model: Model,
        *,
        name: str = "",
        limits: Limits | None = None,
        price: Price | None = None,
        weight: float = 1.0,
    ) -> None:
        self.name, self.model, self.price, self.weight = name, model, price, weight
        limits = limits or Limits()
        self.limiter = Limiter(limits)
        self.parallel = AUTO_CONCURRENCY if limits.concurrency == "auto" else limits.concurrency
        self.out: str | None = None
        self.requests = self.responses = 0
        self.failures: Counter[Kind] = Counter()
        self._read = self._written = self._paid = 0
        self._usd = 0.0
        self.due = 0.0  # when its share of the calls has been served, in calls a unit of weight
        self.latencies: deque[float] = deque(maxlen=1000)  # seconds, of answers
        self._last: CallError | None = None
        self._away_rounds = 0  # failures to reach it in a row, counting those of the same moment as one
        self._away_at = 0.0
        self.govern(RetryPolicy(), is_alone=True)

    def govern(self, retry: RetryPolicy, *, is_alone: bool) -> None:
        """Take the waits between probes from the policy. A lane that is alone is only spaced, never left for long."""
        self._retry = retry
        self._longest_s = retry.base_s if is_alone else retry.cap_s
        self.breaker = Breaker(retry.base_s, self._longest_s)

    @property
    def is_lost(self) -> bool:
        """Whether it cannot be used now: it is out, or could not be reached as often as a call may be tried."""
        return self.out is not None or self._away_rounds >= self._retry.attempts

    @property
    def is_down(self) -> bool:
        """Whether calls keep away from it at the moment."""
        return self.out is not None or not self.breaker.is_closed

    def ready_at(self, tokens: float, now: float) -> float:
        """The earliest time at which a call of about `tokens` may start here; infinity while nobody can say."""
        if self.out is not None:
            return math.inf
        at = self.limiter.ready_at(tokens, now)
        return at if self.breaker.is_closed else max(at, self.breaker.ready_at())

    @property
    def trouble(self) -> str | None:
        """Why calls keep away from it, None where they do not."""
        if self.out is not None or self.breaker.is_closed:
            return self.out
        return f"only tried from time to time, since calls fail: {self.reason}"

    @property
    def reason(self) -> str | None:
        """Why it is out, or how the last call failed that says that something is wrong with it."""
        if self.out is not None or self._last is None:
            return self.out
        return _advised(self._last)

    def start(self, tokens: float, now: float) -> Pass:
        """Take what a call needs."""
        if not self.breaker.is_closed:
            self.breaker.started(now)
        return self.limiter.start(tokens, now)

    def withdraw(self, pass_: Pass, now: float) -> None:
        """Give everything back for a call that was never sent."""
        self.breaker.released(pass_.at, now)
        self.limiter.withdraw(pass_, now)

    def answered(self, pass_: Pass, now: float, usage: Usage, told: Told | None) -> Usage:
        """Count an answer; returns its usage with what it cost."""
        self.responses += 1
        self.latencies.append(now - pass_.at)
        self._away_rounds = 0
        if not self.breaker.is_calm:
            self.breaker.succeeded(pass_.at)
        self.limiter.answered(pass_, now, usage.prompt_tokens + usage.completion_tokens, told)
        return self.pay(usage)

    def failed(self, pass_: Pass, now: float, error: CallError) -> None:
        """Count a failure, and draw from it what it says of the server."""
        kind = error.kind
        self.failures[kind] += 1
        self._weigh(pass_, now, error)
        if error.usage.calls:
            error.usage = self.pay(sane(error.usage))
        used = error.usage.tokens or pass_.tokens
        if kind in _REFUSED:
            self.limiter.refused(pass_, now, self._told(error), by_rate=kind is Kind.RATE_LIMITED)
        elif kind in PAID:
            self.limiter.answered(pass_, now, used, error.told)
        else:
            used = 0 if kind in _NOT_WORKED_ON else used
            self.limiter.failed(pass_, now, used, tells_load=kind in _TELLS_LOAD)

    def cut(self, pass_: Pass, now: float) -> None:
        """Count a call that was cancelled in flight; the server probably goes on with it for a while."""
        self.breaker.released(pass_.at, now)
        self.limiter.cancelled(pass_, now, pass_.tokens)

    def pay(self, usage: Usage) -> Usage:
        """Add to the lane's usage; returns it with what it cost."""
        read, written = usage.prompt_tokens, usage.completion_tokens
        self._read += read
        self._written += written
        self._paid += usage.calls
        if self.price is None:
            return usage
        self._usd += (cost_usd := self.price.usd(read, written))
        return Usage(read, written, usage.calls, cost_usd)

    @property
    def usage(self) -> Usage:
        """What was paid here; the cost is None where there is no price."""
        return Usage(self._read, self._written, self._paid, None if self.price is None else self._usd)

    def statistics(self) -> LaneStatistics:
        """What was sent here, answered and paid up to now."""
        left_requests, left_tokens = self.limiter.left
        state: LaneState = "out" if self.out is not None else self.breaker.state.value
        return LaneStatistics(
            name=self.name,
            state=state,
            trouble=self.trouble,
            weight=self.weight,
            requests=self.requests,
            responses=self.responses,
            failures=dict(self.failures),
            in_flight=self.limiter.in_flight,
            concurrency=self.limiter.concurrency,
            rate_per_s=self.limiter.rate_per_s,
            left_requests=left_requests,
            left_tokens=left_tokens,
            usage=self.usage,
            latency=latency_of(self.latencies),
        )

    def __repr__(self) -> str:
        state = "out" if self.out is not None else self.breaker.state
        return f"<Lane {self.name}: {state}, {self.limiter.in_flight} of {self.limiter.concurrency} in flight>"

    def _weigh(self, pass_: Pass, now: float, error: CallError) -> None:
        """A server that refuses works, unless it refuses the only call that it gets."""
        kind = error.kind
        is_away = kind is Kind.UNREACHABLE
        if kind in _DEFECTS or (kind is Kind.OVERLOADED and self.limiter.concurrency == 1):
            self._last = error
            self.breaker.longest_s = self._retry.cap_s if is_away else self._longest_s
            self.breaker.failed(pass_.at, now, is_away=is_away)
        elif kind in FATAL:
            self.out = self.out or _advised(error)
        elif (wait_s := error.retry_after_s or 0.0) > self._retry.patience_s:
            self.out = self.out or _asks_to_wait(error, wait_s, self._retry.patience_s)
        elif kind is not Kind.OVERLOADED:
            self.breaker.succeeded(pass_.at)
        if not is_away:
            self._away_rounds = 0
        elif not self._away_rounds or pass_.at > self._away_at:
            self._away_rounds, self._away_at = self._away_rounds + 1, now

    def _told(self, error: CallError) -> Told | None:
        return error.told or (Told(retry_after_s=error.retry_after_s) if error.retry_after_s else None)


def _advised(error: CallError) -> str:
    return f"{error}; {FATAL[error.kind]}" if error.kind in FATAL else str(error)


def _asks_to_wait(error: CallError, wait_s: float, patience_s: float) -> str:
    return (
        f"{error}; it asks to wait {wait_s:,.0f} s, longer than `retry.patience_s` = {patience_s:g}: "
        "go on later with the same command, or use another key"
    )
