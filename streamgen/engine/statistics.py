"""What every stage does, typed, at any moment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

_BUCKETS_PER_DOUBLING = 8  # latency quantiles are exact to 2 ** (1/16) - 1 = 4.4 %


class StageStatistics(msgspec.Struct, frozen=True):
    """A stage's counts (records) and times (seconds) so far.

    Each record received is at last dropped, failed, abandoned, or replaced by what it emits: itself, or several.
    `in_flight` are workers that hold a record (one that awaits) or a block (any other). `busy` is the share of its
    workers' time that was spent in the handler, 0 to 1.
    """

    name: str
    received: int = 0
    emitted: int = 0
    dropped: Mapping[str, int] = {}
    failed: Mapping[str, int] = {}
    abandoned: int = 0
    waiting: int = 0
    in_flight: int = 0
    busy: float = 0.0
    latency_p50_s: float | None = None
    latency_p95_s: float | None = None
    latency_p99_s: float | None = None


class EngineStatistics(msgspec.Struct, frozen=True):
    """The whole graph's state."""

    stages: Sequence[StageStatistics] = ()
    tickets_issued: int = 0
    tickets_settled: int = 0
    tickets_in_flight: int = 0
    accepted: int = 0
    acceptance_rate: float = 1.0
    elapsed_s: float = 0.0

    @property
    def bottleneck(self) -> str | None:
        """The busiest stage; among equals the one with the most records waiting."""
        busiest = max(self.stages, key=lambda stage: (round(stage.busy, 2), stage.waiting), default=None)
        return busiest.name if busiest and (busiest.busy or busiest.waiting) else None


class Counts:
    """A stage's live counters."""

    __slots__ = (
        "abandoned",
        "blocked",
        "busy_s",
        "dropped",
        "emitted",
        "failed",
        "latencies",
        "received",
        "started",
    )

    def __init__(self) -> None:
        self.received = self.emitted = self.abandoned = 0
        self.dropped: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.busy_s = 0.0
        self.latencies: dict[int, int] = {}
        self.started: dict[int, float] = {}  # worker -> when it took the record that it holds
        self.blocked: Counter[str] = Counter()  # reader -> workers that wait for room in front of it

    @property
    def blocked_on(self) -> str | None:
        """The reader that most workers wait for."""
        return next((reader for reader, workers in self.blocked.most_common(1) if workers), None)

    def spent(self, seconds: float, records: int) -> None:
        """Note that `records` records took `seconds` together."""
        self.busy_s += seconds
        each = seconds / records
        bucket = math.floor(math.log2(each) * _BUCKETS_PER_DOUBLING) if each > 0 else -1000
        self.latencies[bucket] = self.latencies.get(bucket, 0) + records

    def quantile(self, share: float) -> float | None:
        """The latency in seconds that `share` of the records stayed below."""
        rank = share * sum(self.latencies.values())
        seen = 0
        for bucket in sorted(self.latencies):
            seen += self.latencies[bucket]
            if seen >= rank:
                return 0.0 if bucket == -1000 else 2 ** ((bucket + 0.5) / _BUCKETS_PER_DOUBLING)
        return None

    def report(self, name: str, waiting: int, parallel: int, elapsed_s: float) -> StageStatistics:
        """The counters as they are now."""
        return StageStatistics(
            name,
            self.received,
            self.emitted,
            dict(self.dropped),
            dict(self.failed),
            self.abandoned,
            waiting,
            len(self.started),
            min(1.0, self.busy_s / (elapsed_s * parallel)) if elapsed_s > 0 else 0.0,
            self.quantile(0.5),
            self.quantile(0.95),
            self.quantile(0.99),
        )
