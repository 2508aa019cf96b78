"""A reward that a model has on held-out rows after it has learned from a trial's records, in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

import msgspec

from streamgen.control.held_out import HeldOut, HeldOutSettings
from streamgen.control.worker import worker_in
from streamgen.record import Record

J = TypeVar("J", bound=msgspec.Struct)

Records: TypeAlias = Sequence[Record]
JobOf: TypeAlias = Callable[[HeldOut, Records, Records, Records], J]
"""What there is to learn and to measure, of a trial's records, the incumbent's and the pool.

Raises RewardError for records that no model can learn from.
"""


class HeldOutReward(Generic[J]):
    """What `measure` makes of a job. Raises RecipeError, naming file and line, for files that cannot serve."""

    def __init__(
        self, settings: HeldOutSettings, metric: str, job_of: JobOf[J], measure: Callable[[J], Mapping[str, float]]
    ) -> None:
        self._held_out = HeldOut(settings)
        self._worker = worker_in(settings.worker, settings.timeout_s)
        self._metric, self._job_of, self._measure = metric, job_of, measure

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return self._metric

    async def score(self, records: Records, pool: Records) -> Mapping[str, float]:
        """The metrics after learning these records. Raises RewardError for records that no model can learn from."""
        return await self.score_paired(records, (), pool)

    async def score_paired(self, records: Records, baseline_records: Records, pool: Records) -> Mapping[str, float]:
        """The same, and as `METRIC_baseline` what the incumbent's records come to in the trial's place."""
        return await self._worker.call(self._measure, self._job_of(self._held_out, records, baseline_records, pool))

    async def aclose(self) -> None:
        """End the process that it learns in."""
        await self._worker.aclose()
