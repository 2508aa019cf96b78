"""Whether a request is let in: buckets for requests and tokens, and slots with a line in front."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Generic, TypeVar

from benchmarks.endpoint.config import Config, Rate

T = TypeVar("T")


class Bucket:
    """A token bucket: full at the start, refilled evenly. What is asked beyond its size needs it full."""

    def __init__(self, rate: Rate) -> None:
        self.rate, self.level = rate, rate.burst
        self._per_s = rate.amount / rate.per_s
        self._at: float | None = None

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much may be taken; 0 for now."""
        if self._at is not None:
            self.level = min(self.rate.burst, self.level + (now - self._at) * self._per_s)
        self._at = now
        missing = min(amount, self.rate.burst) - self.level
        return max(0.0, missing / self._per_s) if missing > 1e-9 else 0.0

    def take(self, amount: float) -> None:
        """Take what `wait_s` allows."""
        self.level -= amount

    def headers(self, name: str) -> str:
        """What is told of the bucket, as OpenAI writes it."""
        reset_ms = (self.rate.burst - self.level) / self._per_s * 1000
        return (
            f"x-ratelimit-limit-{name}: {self.rate.amount * 60 / self.rate.per_s:.0f}\r\n"
            f"x-ratelimit-remaining-{name}: {max(0, int(self.level))}\r\n"
            f"x-ratelimit-reset-{name}: {ceil(max(0.0, reset_ms))}ms\r\n"
        )


class Buckets:
    """The endpoint's buckets, taken from together or not at all."""

    def __init__(self, config: Config) -> None:
        rates = {"requests": config.requests, "tokens": config.tokens}
        self._buckets = {name: Bucket(rate) for name, rate in rates.items() if rate}
        self._is_told = config.headers
        self.is_open = not self._buckets

    def retry_after_s(self, tokens: int, now: float) -> int:
        """0 where the request is let in (and paid for here), otherwise whole seconds until it could be."""
        wants = [(bucket, 1 if name == "requests" else tokens) for name, bucket in self._buckets.items()]
        wait_s = max(bucket.wait_s(amount, now) for bucket, amount in wants)
        if wait_s:
            return max(1, ceil(wait_s))
        for bucket, amount in wants:
            bucket.take(amount)
        return 0

    def headers(self) -> str:
        """The `x-ratelimit-*` lines, where they are told."""
        return "".join(b.headers(name) for name, b in self._buckets.items()) if self._is_told else ""


class Slots(Generic[T]):
    """At most so many jobs in service; the others wait in order of arrival."""

    def __init__(self, slots: int | None) -> None:
        self._slots, self.busy = slots, 0
        self._line: deque[T] = deque()

    @property
    def is_full(self) -> bool:
        """Whether a job would have to wait."""
        return self._slots is not None and self.busy >= self._slots

    def enter(self, job: T) -> bool:
        """Whether the job's service begins now; otherwise it waits."""
        if self.is_full:
            self._line.append(job)
            return False
        self.busy += 1
        return True

    def leave(self) -> T | None:
        """End one service; the job whose service begins in its place."""
        if self._line:
            return self._line.popleft()
        self.busy -= 1
        return None

    def give_up(self, job: T) -> bool:
        """Whether the job waited and now does not."""
        if job not in self._line:
            return False
        self._line.remove(job)
        return True
