"""Servers of every kind, and a client that drives a `Limiter` against them: a heap of events, no loop, no clock."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, repeat
from random import Random
from typing import Literal, NamedTuple, Protocol

from streamgen.llm.limits import Limiter, Limits, Pass
from streamgen.llm.told import Told

Status = Literal["ok", "429", "503", "reset"]


class Reply(NamedTuple):
    """What a server does with a call that arrives: how it ends, and after how many seconds."""

    status: Status
    seconds: float
    told: Told | None = None


class Server(Protocol):
    def arrive(self, now: float, tokens: float, seconds: float) -> Reply: ...


class Idle:
    """Answers everything after its service time."""

    def arrive(self, now: float, tokens: float, seconds: float) -> Reply:
        return Reply("ok", seconds)


class TokenBucket:
    """429 where a bucket is empty, with a whole-second Retry-After; the rate may change with time."""

    def __init__(self, rate: Callable[[float], float], burst: float, refusal_s: float = 0.02) -> None:
        self.rate, self.burst, self.level, self.at, self.refusal_s = rate, burst, burst, 0.0, refusal_s

    def arrive(self, now: float, tokens: float, seconds: float) -> Reply:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate(now))
        self.at = now
        if self.level < 1 - 1e-9:
            wait_s = max(1, math.ceil((1 - self.level) / self.rate(now)))
            return Reply("429", self.refusal_s, Told(retry_after_s=float(wait_s)))
        self.level -= 1
        return Reply("ok", seconds)


class Queue:
    """Slots with a line in front, first come, first served; never refuses."""

    def __init__(self, slots: Callable[[float], int]) -> None:
        self.slots, self.ends = slots, list[float]()

    def arrive(self, now: float, tokens: float, seconds: float) -> Reply:
        while self.ends and self.ends[0] <= now:
            heapq.heappop(self.ends)
        ahead = len(self.ends) - self.slots(now)
        starts = now if ahead < 0 else heapq.nsmallest(ahead + 1, self.ends)[ahead]
        heapq.heappush(self.ends, starts + seconds)
        return Reply("ok", starts + seconds - now)


class Batching:
    """Works on all calls at once, the slower the more there are: throughput n / (1 + n / half)."""

    def __init__(self, half: float) -> None:
        self.half, self.ends = half, list[float]()

    def arrive(self, now: float, tokens: float, seconds: float) -> Reply:
        while self.ends and self.ends[0] <= now:
            heapq.heappop(self.ends)
        takes = seconds * (1 + len(self.ends) / self.half)
        heapq.heappush(self.ends, now + takes)
        return Reply("ok", takes)


class Cap:
    """At most so many at once; what comes above is turned away at once, with 429, 503 or a broken connection."""

    def __init__(self, slots: Callable[[float], int], status: Status, refusal_s: float = 0.02) -> None:
        self.slots, self.status, self.refusal_s, self.ends = slots, status, refusal_s, list[float]()

    def arrive(self, now: float, tokens: float, seconds: float) -> Reply:
        while self.ends and self.ends[0] <= now:
            heapq.heappop(self.ends)
        if len(self.ends) >= self.slots(now):
            return Reply(self.status, self.refusal_s)
        heapq.heappush(self.ends, now + seconds)
        return Reply("ok", seconds)


class FixedWindows:
    """So many requests in each window, told in headers or not; then 429 until the window is over."""

    def __init__(self, limit: int, window_s: float, *, tells: bool, retry_after_s: float | None = None) -> None:
        self.limit, self.window_s, self.tells, self.retry_after_s = limit, window_s, tells, retry_after_s
        self.window, self.used = -1, 0

    def arrive(self, now: float, tokens: float, seconds: float) -> Reply:
        if (window := int(now // self.window_s)) != self.window:
            self.window, self.used = window, 0
        reset_s = (window + 1) * self.window_s - now
        left = self.limit - self.used
        self.used += left > 0
        headers = (float(self.limit), float(max(0, left - 1)), float(math.ceil(reset_s))) if self.tells else (None,) * 3
        told = Told(
            limit_requests=headers[0], remaining_requests=headers[1], reset_requests_s=headers[2],
            retry_after_s=None if left > 0 else self.retry_after_s or math.ceil(reset_s),
        )  # fmt: skip
        return Reply("ok", seconds, told) if left > 0 else Reply("429", 0.02, told)


class RollingWindow(TokenBucket):
    """A bucket that tells what is left of it, and when it will be full again, as OpenAI does."""

    def arrive(self, now: float, tokens: float, seconds: float) -> Reply:
        reply = super().arrive(now, tokens, seconds)
        told = Told(
            limit_requests=self.burst, remaining_requests=float(int(self.level)),
            reset_requests_s=(self.burst - self.level) / self.rate(now),
        )  # fmt: skip
        return reply._replace(told=told)


@dataclass
class Trace:
    """What happened: when calls started and ended, what they used, what was refused."""

    starts: list[float] = field(default_factory=list)
    ends: list[tuple[float, float, float]] = field(default_factory=list)  # when it started, ended, tokens
    refusals: list[float] = field(default_factory=list)
    resets: int = 0
    limits: list[tuple[float, int]] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        return self.ends[-1][1]

    @property
    def refused_share(self) -> float:
        return len(self.refusals) / len(self.starts)

    def rate(self, since: float = 0.0, until: float = math.inf) -> float:
        """Answers a second."""
        until = min(until, self.wall_s)
        return sum(since < end <= until for _, end, _ in self.ends) / (until - since)

    def latency(self, quantile: float) -> float:
        return sorted(end - start for start, end, _ in self.ends)[int(len(self.ends) * quantile)]


class Flight(NamedTuple):
    """A call that was sent."""

    pass_: Pass
    reply: Reply
    seconds: float
    tokens: float


class Mean:
    """A running mean of answers, as an endpoint estimates them by."""

    def __init__(self, tokens: float) -> None:
        self.tokens, self.is_first = tokens, True

    def learn(self, used: float) -> None:
        self.tokens = used if self.is_first else self.tokens + 0.05 * (used - self.tokens)
        self.is_first = False


def drive(
    server: Server,
    calls: int,
    *,
    limits: Limits | None = None,
    seconds: Iterator[float] | float = 0.02,
    tokens: Iterator[float] | float = 1.0,
    estimate: Mean | float = 1.0,
    workers: int = 1 << 30,
    late_s: float = 0.0,
    travel_s: Callable[[], float] = lambda: 0.0,
) -> Trace:
    """Bring `calls` calls home. At most `workers` are in flight; timers fire up to `late_s` late."""
    limiter = Limiter(limits or Limits())
    took = repeat(seconds) if isinstance(seconds, float) else seconds
    used = repeat(tokens) if isinstance(tokens, float) else tokens
    trace, rng, numbers = Trace(), Random(7), count()
    events: list[tuple[float, int, Flight | None]] = []  # None is a timer
    again: deque[tuple[float, float]] = deque()  # refused calls, first in line
    left, now, timer_at, fires_at = calls, 0.0, math.inf, math.inf
    while len(trace.ends) < calls:
        while (left or again) and limiter.in_flight < workers:
            guess = estimate.tokens if isinstance(estimate, Mean) else estimate
            at = limiter.ready_at(guess, now)
            if at > now:
                if at < timer_at:
                    timer_at, fires_at = at, at + rng.random() * late_s
                    heapq.heappush(events, (fires_at, next(numbers), None))
                break
            if not again:
                left -= 1
                again.append((next(took), next(used)))
            takes, real = again.popleft()
            pass_ = limiter.start(guess, now)
            trace.starts.append(now)
            arrives_at = now + travel_s()
            reply = server.arrive(arrives_at, real, takes)
            heapq.heappush(events, (arrives_at + reply.seconds, next(numbers), Flight(pass_, reply, takes, real)))
        now, _, flight = heapq.heappop(events)
        if flight is None:
            if now == fires_at:  # not one that was overtaken
                timer_at = math.inf
            continue
        end(limiter, flight, now, trace)
        if isinstance(estimate, Mean) and flight.reply.status == "ok":
            estimate.learn(flight.tokens)
        if flight.reply.status != "ok":
            again.append((flight.seconds, flight.tokens))
        trace.limits.append((now, limiter.concurrency))
    return trace


def end(limiter: Limiter, flight: Flight, now: float, trace: Trace) -> None:
    """Tell the limiter how a call ended, and write it down."""
    pass_, reply, _, tokens = flight
    if reply.status == "ok":
        limiter.answered(pass_, now, tokens, reply.told)
        trace.ends.append((pass_.at, now, tokens))
    elif reply.status == "reset":
        limiter.failed(pass_, now, 0.0, tells_load=True)
        trace.resets += 1
    else:
        limiter.refused(pass_, now, reply.told, by_rate=reply.status == "429")
        trace.refusals.append(now)
