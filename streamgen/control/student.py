"""The reward `student`: how well a small network does on real rows that learns from the stream as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streamgen.control.examples import Example
from streamgen.control.held_out import HeldOut, HeldOutSettings
from streamgen.control.held_out_reward import HeldOutReward, Records
from streamgen.errors import MissingExtra


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


def student(settings: StudentSettings) -> HeldOutReward[Lesson]:
    """A text classifier in JAX and Flax: accuracy and the like, and the error of each class.

    It learns the pool anew for each trial: so it forks from the same knowledge for a trial and its baseline, and a run
    that was killed goes on with the same student. Raises RecipeError, naming file and line, and MissingExtra.
    """
    if not all(find_spec(name) for name in ("jax", "flax", "optax")):
        raise MissingExtra("the student reward", "rl")
    return HeldOutReward(settings, settings.metric, partial(_lesson, settings), measure)


def _lesson(settings: StudentSettings, held_out: HeldOut, records: Records, baseline: Records, pool: Records) -> Lesson:
    return Lesson(
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


def measure(job: Lesson) -> dict[str, float]:
    """What the student comes to; JAX is loaded where this is called."""
    from streamgen.control.student_job import learned

    return learned(job)
