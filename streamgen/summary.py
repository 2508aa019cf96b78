"""How a run stands or has ended, typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from streamgen.engine.statistics import EngineStatistics
from streamgen.llm.budget import Spent
from streamgen.llm.spend import Spend
from streamgen.llm.statistics import EndpointStatistics
from streamgen.record import Value

if TYPE_CHECKING:
    from streamgen.control.controller import ControllerSummary

Reason: TypeAlias = Literal["running", "done", "source_ended", "budget", "interrupted", "stopped", "failed"]

EXIT_CODES: Mapping[Reason, int] = {
    "running": 0,
    "done": 0,
    "source_ended": 1,
    "budget": 3,
    "interrupted": 130,
    "stopped": 3,
    "failed": 1,
}


class End(msgspec.Struct, frozen=True):
    """Why a run ended. `message` says it in a sentence; `exit_code` is what the command line ends with."""

    reason: Reason = "running"
    message: str = ""
    exit_code: int = 0

    @property
    def is_resumable(self) -> bool:
        """Whether the same command goes on where this run stopped."""
        return self.reason not in ("done", "running")


class RunStatistics(msgspec.Struct, frozen=True):
    """A run's state. `engine` and `endpoints` are of this session; `accepted`, `spent`, `metrics` of all of them.

    `failed` counts dead letters, `surplus` records beyond the quota, both of this session. `spends` is what was spent
    by model and stage, in all sessions. `structured` counts answers by model, rung (json_schema, json_object, prompt)
    and form (as_is, fenced, repaired, reasked, failed), of this session. `warnings` say what is wrong without being the
    run's end: servers or keys that are not used, a cache that cannot be written.
    """

    name: str
    accepted: int
    wanted: int | None
    surplus: int
    failed: int
    engine: EngineStatistics
    endpoints: Sequence[EndpointStatistics]
    spent: Spent
    metrics: Mapping[str, Mapping[str, Value]]
    spends: Sequence[Spend] = ()
    structured: Mapping[str, Mapping[str, Mapping[str, int]]] = {}
    warnings: Sequence[str] = ()

    @property
    def cached(self) -> int:
        """Answers that other runs had paid for."""
        return sum(spend.cached for spend in self.spends)


class Summary(msgspec.Struct, frozen=True):
    """What a run made, dropped, spent and learned, and where it is."""

    end: End
    statistics: RunStatistics
    directory: str | None
    files: Sequence[str]
    trials: ControllerSummary | None = None
