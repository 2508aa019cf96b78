"""The reward `student`: how well a small network does on real rows that learns from the stream as it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streamgen.control.examples import Example
from streamgen.control.held_out import HeldOut, HeldOutSettings
from streamgen.control.worker import Place, worker_in
from streamgen.errors import MissingExtra
from streamgen.record import Record


class Lesson(msgspec.Struct, frozen=True):
    """What the stream has brought (`known`), what a trial adds (`made`), what the incumbent would, and how to learn."""

    known: Sequence[Example]
    made: Sequence[Example]
    baseline: Sequence[Example]
    held_out: Sequence[Example]
    resamples: int
    hidden: int
    dimensions: int
    passes: int
    learning_rate: float
    seed: int = 0


class StudentSettings(HeldOutSettings, frozen=True, kw_only=True):
    """The network and how it learns.

    It has one layer of `hidden` units over `dimensions` hashed words and pairs of words, and goes `passes` times over
    the pool, then over the trial's records, with Adam. `metric = "prequential"` is how many of the trial's own labels
    it would have told before it learned them, the others are measured on the validation rows.
    """

    metric: Literal["accuracy", "macro_f1", "probability", "log_score", "brier_score", "prequential"] = "accuracy"
    hidden: Annotated[int, Meta(ge=1, le=1024)] = 64
    dimensions: Annotated[int, Meta(ge=64, le=16384)] = 2048
    passes: Annotated[int, Meta(ge=1, le=1000)] = 20
    learning_rate: Annotated[float, Meta(gt=0)] = 0.01
    resamples: Annotated[int, Meta(ge=0, le=100)] = 8
    worker: Place = "process"
    timeout_s: Annotated[float, Meta(gt=0)] = 600.0


class Student:
    """A text classifier in JAX and Flax: accuracy and the like, and the error of each class.

    It learns the pool anew for each trial: so it forks from the same knowledge for a trial and its baseline, and a run
    that was killed goes on with the same student. Raises RecipeError, naming file and line, and MissingExtra.
    """

    def __init__(self, settings: StudentSettings) -> None:
        if not all(find_spec(name) for name in ("jax", "flax", "optax")):
            raise MissingExtra("the student reward", "rl")
        self._settings = settings
        self._held_out = HeldOut(settings)
        self._worker = worker_in(settings.worker, settings.timeout_s)

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return self._settings.metric

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        """The metrics after learning these records. Raises RewardError for records without text and label."""
        return await self._measured(records, (), pool)

    async def score_paired(
        self, records: Sequence[Record], baseline_records: Sequence[Record], pool: Sequence[Record]
    ) -> Mapping[str, float]:
        """The same, and as `METRIC_baseline` what the incumbent's records come to in the trial's place."""
        return await self._measured(records, baseline_records, pool)

    async def aclose(self) -> None:
        """End the process that it learns in."""
        await self._worker.aclose()

    async def _measured(
        self, records: Sequence[Record], baseline: Sequence[Record], pool: Sequence[Record]
    ) -> Mapping[str, float]:
        settings, held_out = self._settings, self._held_out
        job = Lesson(
            known=[*held_out.seeds, *held_out.examples(pool)],
            made=held_out.made(records),
            baseline=held_out.examples(baseline),
            held_out=held_out.validation,
            resamples=settings.resamples,
            hidden=settings.hidden,
            dimensions=settings.dimensions,
            passes=settings.passes,
            learning_rate=settings.learning_rate,
        )
        return await self._worker.call(measure, job)


def measure(job: Lesson) -> dict[str, float]:
    """What the student comes to; JAX is loaded where this is called."""
    from streamgen.control.student_job import learned

    return learned(job)
