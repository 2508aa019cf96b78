"""Statistics: quantiles within their promise, the bottleneck."""

from __future__ import annotations

import pytest

from streamgen.engine.statistics import Counts, EngineStatistics, StageStatistics


def test_latency_quantiles_are_right_to_five_percent() -> None:
    counts = Counts()
    for milliseconds in range(1, 1001):
        counts.spent(milliseconds / 1000, 1)
    report = counts.report("ask", waiting=3, parallel=10, elapsed_s=100.0)
    assert report.latency_p50_s == pytest.approx(0.5, rel=0.05)
    assert report.latency_p95_s == pytest.approx(0.95, rel=0.05)
    assert report.latency_p99_s == pytest.approx(0.99, rel=0.05)
    assert report.busy == pytest.approx(500.5 / 1000)


def test_a_burst_counts_as_its_records() -> None:
    counts = Counts()
    counts.spent(6.4, 64)
    assert counts.quantile(0.5) == pytest.approx(0.1, rel=0.05)
    assert sum(counts.latencies.values()) == 64


def test_what_takes_no_time_has_latency_zero() -> None:
    counts = Counts()
    assert counts.quantile(0.5) is None
    counts.spent(0.0, 5)
    assert counts.quantile(0.99) == 0.0
    assert counts.report("a", 0, 1, 0.0).busy == 0.0


def test_the_bottleneck_is_the_busiest_then_the_fullest() -> None:
    idle, busy = StageStatistics("idle", waiting=9), StageStatistics("busy", busy=0.9)
    fuller = StageStatistics("fuller", busy=0.901, waiting=5)
    assert EngineStatistics([idle, busy]).bottleneck == "busy"
    assert EngineStatistics([busy, fuller]).bottleneck == "fuller"
    assert EngineStatistics([StageStatistics("new")]).bottleneck is None
    assert EngineStatistics().bottleneck is None


def test_blocked_on_is_the_reader_that_most_workers_wait_for() -> None:
    counts = Counts()
    counts.blocked["a"] += 1
    counts.blocked["b"] += 2
    assert counts.blocked_on == "b"
    counts.blocked["b"] -= 2
    assert counts.blocked_on == "a"
    counts.blocked["a"] -= 1
    assert counts.blocked_on is None
