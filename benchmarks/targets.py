"""What streamgen has to reach, as data, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from benchmarks import measures as m
from benchmarks.measures import Measure
from benchmarks.results import Results, Spread, spread
from benchmarks.runner import Measured

OURS = "streamgen"


class Target(msgspec.Struct, frozen=True):
    """A bound on a measure of streamgen's runs. `over` compares with another (workload, client) of the same round."""

    workload: str
    about: str
    measure: Measure
    relation: Literal["<=", ">="]
    bound: float
    over: tuple[str, str] | None = None
    compare: Literal["ratio", "difference"] = "ratio"


class Verdict(NamedTuple):
    """What was reached; `spread` None where it was not measured."""

    target: Target
    spread: Spread | None
    is_met: bool


_FLOOR = "floor"
TARGETS = (
    Target("W1", "records/s over the floor's", m.rate, ">=", 0.72, ("W1", _FLOOR)),
    Target("W1", "CPU a record over the floor's", m.cpu_ms, "<=", 1.45, ("W1", _FLOOR)),
    Target("W1", "records/s over data-designer's", m.rate, ">=", 8.0, ("W1", "data_designer")),
    Target("W1", "records/s over the openai SDK's", m.rate, ">=", 5.0, ("W1", "openai")),
    Target("W2", "wall over ideal", m.wall_over_ideal, "<=", 1.20),
    Target("W2", "wall over the floor's", m.wall, "<=", 1.03, ("W2", _FLOOR)),
    Target("W2", "seconds to the first record", m.first_record_s, "<=", 1.0),
    Target("W2hedged", "wall over ideal", m.wall_over_ideal, "<=", 1.12),
    Target("W2hedged", "share of extra calls", m.extra_calls, "<=", 0.03),
    Target("W3", "share of the ceiling", m.share_of_ceiling, ">=", 0.97),
    Target("W3", "share of 429", m.refused_share, "<=", 0.02),
    Target("W3", "lost", m.lost, "<=", 0),
    Target("W3told", "share of the ceiling", m.share_of_ceiling, ">=", 0.99),
    Target("W3told", "429", m.refused, "<=", 0),
    Target("W3told", "lost", m.lost, "<=", 0),
    Target("W4", "lost or null", m.lost, "<=", 0),
    Target("W4", "duplicated", m.duplicated, "<=", 0),
    Target("W4", "paid twice", m.paid_again, "<=", 0),
    Target("W4", "wall over the floor's", m.wall, "<=", 1.0, ("W4", _FLOOR)),
    Target("W5", "lost", m.lost, "<=", 0),
    Target("W5", "duplicated", m.duplicated, "<=", 0),
    Target("W5", "paid again beyond flight and commit interval", m.paid_again_beyond_flight, "<=", 0),
    Target("W5", "seconds from restart to first request", m.start_s, "<=", 1.0),
    Target("W5key", "paid again", m.paid_again, "<=", 0),
    Target("W6", "MB peak, 2,000 records", m.peak_mb, "<=", 80.0),
    Target("W6large", "more MB at 100,000 records", m.peak_mb, "<=", 5.0, ("W6", OURS), "difference"),
    Target("W6", "seconds to the first request beyond the floor's", m.start_s, "<=", 0.4, ("W6", _FLOOR), "difference"),
    Target("W1", "wall over that without a journal", m.wall, "<=", 1.08, ("W6journal", OURS)),
    Target("W7", "share of the server's best throughput", m.share_of_ceiling, ">=", 0.95),
    Target("W7", "median latency over the unloaded one", m.latency_ratio, "<=", 1.5),
    Target("W7", "429", m.refused, "<=", 0),
    Target("W8", "tokens in the busiest 60 s over the limit", m.busiest_minute, "<=", 1.0),
    Target("W8", "tokens in the mean 60 s over the limit", m.mean_minute, ">=", 0.95),
)


def verdicts(results: Results) -> Iterator[Verdict]:
    """Each target, by the median over the rounds."""
    for target in TARGETS:
        reached = spread(_values(target, results))
        yield Verdict(target, reached, reached is not None and _is_met(target, reached.median))


def _is_met(target: Target, value: float) -> bool:
    return value <= target.bound if target.relation == "<=" else value >= target.bound


def _values(target: Target, results: Results) -> Sequence[float | None]:
    if target.over is None:
        return [target.measure(run) for run in results.of(target.workload, OURS)]
    return [_compared(target, *pair) for pair in results.pairs((target.workload, OURS), target.over)]


def _compared(target: Target, ours: Measured, other: Measured) -> float | None:
    one, two = target.measure(ours), target.measure(other)
    if one is None or two is None:
        return None
    if target.compare == "difference":
        return one - two
    return one / two if two else None
