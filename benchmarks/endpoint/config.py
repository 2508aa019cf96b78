"""What a mock endpoint does, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec

Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
Fault: TypeAlias = Literal["500", "503", "reset", "malformed", "empty", "truncated", "hang", "slow"]


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token bucket: `amount` in each `per_s` seconds, of which `burst` may come at once."""

    amount: Positive
    per_s: Positive = 60.0
    burst: Positive


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Latency, limits, faults and answers of one endpoint.

    `latency_ms` is constant, or the median where `latency_sigma` makes it log-normal. Beyond `slots` requests wait in
    line or get a 429 (`when_full`). `headers` tells the buckets in `x-ratelimit-*`. `faults` gives each its share.
    `aborts`: a closed connection ends its request (as vLLM does); otherwise it is finished, and paid (as OpenAI does).
    `idempotent` answers a repeated `Idempotency-Key` from memory. Answers have `words` words, or that in the median.
    """

    latency_ms: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    latency_sigma: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    slots: Annotated[int, msgspec.Meta(ge=1)] | None = None
    when_full: Literal["queue", "refuse"] = "queue"
    requests: Rate | None = None
    tokens: Rate | None = None
    headers: bool = False
    faults: Mapping[Fault, Share] = {}
    slow_s: Positive = 5.0
    aborts: bool = True
    idempotent: bool = False
    words: Annotated[int, msgspec.Meta(ge=1)] = 60
    words_sigma: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if sum(self.faults.values()) > 1:
            raise ValueError(f"the shares of `faults` add up to {sum(self.faults.values()):g}; at most 1 is possible")
