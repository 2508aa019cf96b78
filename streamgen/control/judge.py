"""The reward `judge`: the mean of the scores that a stage gave the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from statistics import fmean, stdev
from typing import Annotated, Literal

import msgspec

from streamgen.control.reward import TrialFacts
from streamgen.errors import RewardError
from streamgen.record import Record, Value
from streamgen.settings import Settings


class JudgeSettings(Settings, frozen=True, kw_only=True):
    """`column` is what the judging stage wrote: a column with a number, or a score of that name in the provenance.

    Where records with low scores are dropped before they are accepted, the mean sees the survivors alone:
    `metric = "per_ticket"` divides the sum by the tickets, so that what was dropped counts as 0. A trial of which less
    than `least_scored` has a score has no reward.
    """

    column: str
    metric: Literal["mean", "per_ticket"] = "mean"
    least_scored: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0


class Judge:
    """Metrics `mean`, `per_ticket`, and how many records are `scored` and `unscored` (those are left out)."""

    def __init__(self, settings: JudgeSettings) -> None:
        self._settings = settings

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return self._settings.metric

    async def score(
        self, records: Sequence[Record], pool: Sequence[Record], *, facts: TrialFacts | None = None
    ) -> Mapping[str, float]:
        """The metrics. Raises RewardError where none, or too few, of the records have a score."""
        scores = [score for record in records if (score := self._score(record)) is not None]
        self._check(len(scores), len(records))
        metrics = {"scored": float(len(scores)), "unscored": float(len(records) - len(scores))}
        metrics |= _mean("mean", scores)
        if facts and facts.tickets >= len(scores):
            metrics |= _mean("per_ticket", [*scores, *[0.0] * (facts.tickets - len(scores))])
        return metrics

    def _score(self, record: Record) -> float | None:
        column = self._settings.column
        return number_in(record.columns.get(column, record.meta.scores.get(column)))

    def _check(self, scored: int, records: int) -> None:
        column, least = self._settings.column, self._settings.least_scored
        if not scored:
            raise RewardError(f"none of the trial's {records} records has a number in {column!r}")
        if scored < least * records:
            raise RewardError(f"only {scored} of the trial's {records} records have a number in {column!r}")


def number_in(value: Value) -> float | None:
    """The finite number that the value is, also as text; None where it is none.

    >>> [number_in(value) for value in (4, " 3.5 ", True, "good", None, float("nan"))]
    [4.0, 3.5, 1.0, None, None, None]
    """
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def _mean(name: str, values: Sequence[float]) -> dict[str, float]:
    found = {name: fmean(values)}
    if len(values) > 1:
        found[f"{name}_se"] = stdev(values) / sqrt(len(values))
    return found
