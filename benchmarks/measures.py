"""What is read from a run, each as a function from the run to a number; None where it does not apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from benchmarks.runner import Measured
from benchmarks.workloads import WORKLOADS, ideal_s

Measure: TypeAlias = Callable[[Measured], float | None]


def rate(run: Measured) -> float | None:
    """Records a second."""
    return run.records_per_s


def cpu_ms(run: Measured) -> float | None:
    """CPU a record, of the whole tree, behind the first request."""
    return run.cpu_ms


def wall(run: Measured) -> float | None:
    """Seconds from the first request to the last record."""
    return run.wall_s


def peak_mb(run: Measured) -> float | None:
    """Peak resident memory of the whole tree."""
    return run.peak_mb


def start_s(run: Measured) -> float | None:
    """Process start to first request."""
    return run.start_s


def first_record_s(run: Measured) -> float | None:
    """Start of the work to the first record."""
    return run.first_record_s


def wall_over_ideal(run: Measured) -> float | None:
    """1 is the best that the endpoint allows."""
    ideal = ideal_s(run.workload)
    return run.wall_s / ideal if ideal and run.wall_s else None


def share_of_ceiling(run: Measured) -> float | None:
    """The records' share of what the endpoint would have let through in this time."""
    ideal = ideal_s(run.workload)
    if not ideal or not run.wall_s:
        return None
    return ideal / run.wall_s * run.records / WORKLOADS[run.workload].records


def refused(run: Measured) -> float | None:
    """Answers with 429."""
    return float(run.counters.get("statuses", {}).get("429", 0))


def refused_share(run: Measured) -> float | None:
    """Of all requests, those answered 429."""
    requests = run.counters.get("requests")
    return (refused(run) or 0.0) / requests if requests else None


def lost(run: Measured) -> float | None:
    """Records that are missing or null."""
    return float(run.missing + run.null)


def duplicated(run: Measured) -> float | None:
    """Records that were written more than once."""
    return float(run.duplicated)


def paid_again(run: Measured) -> float | None:
    """Usable answers beyond the first for the same prompt."""
    return float(run.counters.get("paid_again", 0))


def paid_again_beyond_flight(run: Measured) -> float | None:
    """Calls paid again beyond those in flight at the kill and the answers of one commit interval before it."""
    return max(0.0, (paid_again(run) or 0.0) - run.kill.allowed) if run.kill else None


def extra_calls(run: Measured) -> float | None:
    """Requests beyond those that the work needs, as a share."""
    workload = WORKLOADS[run.workload]
    needed = workload.records * (1 if workload.second_prompt is None else 2)
    return run.counters["requests"] / needed - 1 if run.counters.get("requests") else None


def latency_ratio(run: Measured) -> float | None:
    """The median latency at the endpoint over that of an idle one."""
    median = run.counters.get("latency_ms", {}).get("p50")
    unloaded = WORKLOADS[run.workload].endpoint.latency_ms
    return median / unloaded if median and unloaded else None


def busiest_minute(run: Measured) -> float | None:
    """Tokens in the fullest 60 s, over what is allowed in a minute."""
    allowed = WORKLOADS[run.workload].tokens_per_minute
    return run.counters.get("tokens_max_60s", 0) / allowed if allowed else None


def mean_minute(run: Measured) -> float | None:
    """Tokens in the mean 60 s, over what is allowed in a minute."""
    allowed, mean = WORKLOADS[run.workload].tokens_per_minute, run.counters.get("tokens_mean_60s")
    return mean / allowed if allowed and mean else None
