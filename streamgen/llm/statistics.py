"""What an endpoint did and does, typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from streamgen.llm.retry import Kind
from streamgen.record import NO_USAGE, Usage

LaneState: TypeAlias = Literal["closed", "open", "half_open", "out"]


class Latency(msgspec.Struct, frozen=True):
    """Seconds from sending to the answer, of the last 1,000 answers."""

    p50_s: float = 0.0
    p95_s: float = 0.0
    max_s: float = 0.0
    p99_s: float = 0.0


class LaneStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One server and key of an endpoint.

    `state` is its breaker's, or "out" where no call can succeed any more; `trouble` says why it is not "closed".
    `rate_per_s` is the user's limit of requests or what was learned from refusals, `left_*` what the server's headers
    leave at the moment; None where nobody knows.
    """

    name: str
    state: LaneState = "closed"
    trouble: str | None = None
    weight: float = 1.0
    requests: int = 0
    responses: int = 0
    failures: Mapping[Kind, int] = {}
    in_flight: int = 0
    concurrency: int = 0
    rate_per_s: float | None = None
    left_requests: float | None = None
    left_tokens: float | None = None
    usage: Usage = NO_USAGE
    latency: Latency = Latency()


class EndpointStatistics(msgspec.Struct, frozen=True):
    """What an endpoint did and does. `requests` were sent, `responses` of them brought an answer.

    `lanes` tells its servers and keys apart; everything else is their sum. `hedges` of the requests were second ones
    for slow calls, and `hedges_won` of these answered first.
    """

    name: str
    requests: int
    responses: int
    failures: Mapping[Kind, int]
    retries: Mapping[Kind, int]
    in_flight: int
    waiting: int
    concurrency: int
    usage: Usage
    latency: Latency
    hedges: int = 0
    hedges_won: int = 0
    lanes: tuple[LaneStatistics, ...] = ()

    @property
    def rate_per_s(self) -> float | None:
        """Requests a second that its servers and keys take together; None where that of one is not known."""
        rates = [lane.rate_per_s for lane in self.lanes]
        return sum(rate or 0.0 for rate in rates) if rates and None not in rates else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Which servers or keys are not used at the moment, and why."""
        return tuple(f"{self.name}, {lane.name}: {lane.trouble}" for lane in self.lanes if lane.trouble)


def latency_of(seconds: Collection[float]) -> Latency:
    """The quantiles of these latencies; zeros where there are none."""
    if not seconds:
        return Latency()
    rising = sorted(seconds)
    return Latency(_quantile(rising, 0.5), _quantile(rising, 0.95), rising[-1], _quantile(rising, 0.99))


def _quantile(rising: Sequence[float], share: float) -> float:
    """Between the two nearest; not from `statistics`, which loads fractions and decimals at each start of a run."""
    below, part = divmod(share * (len(rising) - 1), 1)
    low, high = rising[int(below)], rising[min(int(below) + 1, len(rising) - 1)]
    return low + part * (high - low)
