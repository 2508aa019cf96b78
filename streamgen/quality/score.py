"""Keeps records by a number that an earlier stage gave them: a judge's, a similarity, a log-probability."""

from __future__ import annotations

from typing import Literal

from streamgen.context import StageContext
from streamgen.control.judge import number_in
from streamgen.engine.stage import Drop, Result
from streamgen.record import Record
from streamgen.settings import Settings


class ScoreSettings(Settings, frozen=True, kw_only=True):
    """Bounds, inclusive, on a score in the provenance, or on a column with a number; None sets no bound.

    `score` is its name: the stage that gave it, or `stage.part`. `unscored` says what becomes of records that have
    none, which is another thing than a low one.
    """

    score: str
    min: float | None = None
    max: float | None = None
    unscored: Literal["keep", "drop"] = "drop"

    def check(self) -> None:
        """Raise ValueError where nothing is bounded, or nothing passes."""
        if self.min is None and self.max is None:
            raise ValueError("min: give it or `max`; without a bound the stage does nothing")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min: {self.min} is above max = {self.max}; no record passes")


def score(record: Record, context: StageContext[ScoreSettings]) -> Result:
    """The record, or a drop as `low_score`, `high_score` or `unscored`."""
    settings = context.settings
    found = number_in(record.columns.get(settings.score, record.meta.scores.get(settings.score)))
    if found is None:
        return record if settings.unscored == "keep" else Drop("unscored")
    if settings.min is not None and found < settings.min:
        return Drop("low_score")
    return Drop("high_score") if settings.max is not None and found > settings.max else record
