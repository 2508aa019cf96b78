"""A run's trials, with all that is believed of them: what the pictures of the controller are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from streamgen.control.agent import Kind
from streamgen.control.results import TrialResult
from streamgen.record import Value
from streamgen.report.plot import WIDTH, Label, Scale, across, percent_of
from streamgen.report.text import number, rounded
from streamgen.report.trial_axes import Axis, axes_of, shares_of, space_of
from streamgen.report.trials import TrialFacts, TrialTook

if TYPE_CHECKING:
    from streamgen.report.beliefs import Belief, Beliefs

MOST = 400  # trials in a picture, evenly chosen
ROWS = 200  # of a table, half from each end

LOOKS: Mapping[Kind, str] = {
    "default": "the recipe's own settings",
    "explore": "exploring",
    "incumbent": "the best so far, run again",
    "recommended": "recommended",
}


class Study:
    """The trials, their axes and the posterior over them, computed once."""

    def __init__(self, facts: TrialFacts) -> None:
        self.facts = facts
        tried = [result.trial.settings for result in facts.results]
        self.space = space_of(facts.space, tried)
        self.axes = axes_of(self.space)

    @cached_property
    def beliefs(self) -> Beliefs | None:
        """The posterior; None where there are too few rewards for one."""
        from streamgen.report.beliefs import beliefs_of

        return beliefs_of(self.space, self.facts.results)

    @cached_property
    def believed(self) -> Sequence[Belief | None]:
        """What is believed of each trial's settings."""
        if self.beliefs is None:
            return [None] * len(self.facts.results)
        return self.beliefs.of([result.trial.settings for result in self.facts.results])

    @cached_property
    def best(self) -> Mapping[str, Value] | None:
        """The recommended settings; where there are none, those of the trial that is believed to be best."""
        if self.facts.recommended is not None or self.beliefs is None:
            return self.facts.recommended
        told = [place for place, result in enumerate(self.facts.results) if result.value is not None]
        return self.facts.results[max(told, key=self._level)].trial.settings

    @cached_property
    def worth(self) -> Belief | None:
        """What is believed of the best settings."""
        return self.beliefs.of([self.best])[0] if self.beliefs and self.best is not None else None

    @cached_property
    def share_axes(self) -> list[Axis]:
        """The shares that mixtures came to."""
        return axes_of(shares_of(self.space))

    @property
    def shown(self) -> list[int]:
        """Places of the trials that pictures show."""
        count = len(self.facts.results)
        return list(range(0, count, -(-count // MOST)))

    def _level(self, place: int) -> float:
        belief = self.believed[place]
        return belief.mean if belief else 0.0

    def x(self) -> Scale:
        """Where the trials stand, by their places."""
        return across(len(self.facts.results))

    def columns(self) -> list[Label]:
        """Trial numbers below a picture of trials in order."""
        count = len(self.facts.results)
        x = self.x()
        step = max(1, round((count - 1) / 4))
        places = sorted({*range(0, max(count - 1 - step // 2, 1), step), count - 1})
        return [Label(percent_of(x(place)), f"{'trial ' if not place else ''}{self.id(place)}") for place in places]

    def id(self, place: int) -> int:
        """A trial's number."""
        return self.facts.results[place].trial.id

    def took(self, place: int) -> TrialTook:
        """What a trial took."""
        return self.facts.took[place] if place < len(self.facts.took) else TrialTook()


def error_of(result: TrialResult) -> float:
    """The standard error of a trial's reward, 0 where nobody knows it."""
    return (result.reward.se if result.reward else None) or 0.0


def is_failed(result: TrialResult) -> bool:
    """Whether a trial was measured in vain."""
    return result.reward is not None and result.value is None


def with_error(value: float | None, error: float | None) -> str:
    """A value with its standard error.

    >>> with_error(0.81234, 0.02), with_error(3.0, None), with_error(None, None)
    ('0.8123 ± 0.02', '3', '-')
    """
    return number(value) if not error else f"{number(value)} ± {rounded(error)}"


def outcome_of(result: TrialResult) -> str:
    """A trial's reward as text."""
    return "failed" if is_failed(result) else with_error(result.value, error_of(result))


def held(worth: Belief, ends: Sequence[float]) -> list[float]:
    """The interval's ends, as far as they leave the rewards most of the picture."""
    room = max(ends) - min(ends)
    return [max(worth.low, min(ends) - room / 2), min(worth.high, max(ends) + room / 2)]


def interval(belief: Belief | None) -> str:
    """A posterior mean with its 95 % interval."""
    return f"{number(belief.mean)} ({number(belief.low)} to {number(belief.high)})" if belief else "-"


def levels(scale: Scale) -> list[Label]:
    """Round values beside a picture."""
    return [Label(scale(value), number(value)) for value in scale.ticks()]


def grid(scale: Scale) -> str:
    """Level lines at round values."""
    return "".join(f"M0 {scale(value):g}H{WIDTH:g}" for value in scale.ticks())


def both_ends(rows: Sequence[Sequence[str]]) -> tuple[Sequence[Sequence[str]], int]:
    """At most 200 rows, half from each end, and how many are left out."""
    if len(rows) <= ROWS:
        return rows, 0
    return [*rows[: ROWS // 2], *rows[-ROWS // 2 :]], len(rows) - ROWS
