"""A picture of the winner's curse: how good the settings of the best batches are when they run again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from streamgen.report.plot import WIDTH, Label, Mark, Numbers, Plot, Scale, dot, percent_of, spanning
from streamgen.report.study import Study, held, interval, with_error
from streamgen.report.text import number

if TYPE_CHECKING:
    from streamgen.report.beliefs import Belief

BATCHES = 6  # the best ones


class Rerun(NamedTuple):
    """Settings whose first reward was among the highest: that reward, the later ones, and what is believed."""

    place: int
    first: float
    again: Sequence[float]
    belief: Belief | None

    @property
    def mean_again(self) -> float | None:
        """The mean reward of the re-runs."""
        return fmean(self.again) if self.again else None

    @property
    def error_again(self) -> float | None:
        """Its standard error, from two re-runs on."""
        return stdev(self.again) / len(self.again) ** 0.5 if len(self.again) > 1 else None


def reruns_of(study: Study) -> list[Rerun]:
    """The best batches, the highest first, each with what its settings were worth in later trials."""
    found: dict[bytes, list[int]] = {}
    for place, result in enumerate(study.facts.results):
        if result.value is not None:
            found.setdefault(msgspec.json.encode(result.trial.settings, order="deterministic"), []).append(place)
    values = [(places, [study.facts.results[place].value or 0.0 for place in places]) for places in found.values()]
    reruns = [Rerun(places[0], first, again, study.believed[places[0]]) for places, (first, *again) in values]
    best = sorted(reruns, key=lambda each: -each.first)[:BATCHES]
    # Whatever was run again tells most, also where its first batch was not among the best.
    return best if any(each.again for each in best) else [*best[: BATCHES - 1], *_most_again(reruns)]


def _most_again(reruns: Sequence[Rerun]) -> list[Rerun]:
    return sorted((each for each in reruns if each.again), key=lambda each: -len(each.again))[:1]


def curse_plot(study: Study) -> Plot | None:
    """The best batches beside their re-runs and what is believed of them."""
    reruns = reruns_of(study)
    if len(study.facts.results) < 3 or len(reruns) < 2:
        return None
    row = 30
    ends = [value for each in reruns for value in (each.first, *each.again)]
    intervals = [end for each in reruns if each.belief for end in held(each.belief, ends)]
    x = spanning([*ends, *intervals], 14, WIDTH - 14)
    marks = [Mark("".join(f"M{x(tick):g} 0V{row * len(reruns)}" for tick in x.ticks()), "axis")]
    for index, each in enumerate(reruns):
        marks += _rerun_marks(each, row * index + row / 2, x, study.id(each.place))
    return Plot(
        id="curse",
        title="The best batches, and their settings run again",
        about="The highest reward of many is a lucky one: the same settings are seldom as good again. Filled marks are "
        "the first batch with these settings, rings are later ones; the bar is what all rewards together say.",
        text=_curse_text(study, reruns),
        height=row * len(reruns),
        marks=marks,
        rows=[Label(row * index + row / 2, f"trial {study.id(each.place)}") for index, each in enumerate(reruns)],
        columns=[Label(percent_of(x(tick)), number(tick)) for tick in x.ticks()],
        legend=[("explore", "first batch"), ("incumbent", "run again"), ("belief", "believed, 95 % interval")],
        numbers=Numbers(
            ("first trial", "first reward", "run again", "mean again", "believed"),
            [[str(study.id(each.place)), number(each.first), str(len(each.again)),
              with_error(each.mean_again, each.error_again), interval(each.belief)] for each in reruns],
        ),
        gutter=72,
    )  # fmt: skip


def _rerun_marks(each: Rerun, y: float, x: Scale, trial: int) -> Iterator[Mark]:
    if each.belief:
        yield Mark(f"M{x(each.belief.low):g} {y:g}H{x(each.belief.high):g}", "belief", interval(each.belief))
        yield Mark(f"M{x(each.belief.mean):g} {y - 7:g}v14", "worth")
    for value in each.again:
        yield Mark(dot(x(value), y), "incumbent", f"again: {number(value)}")
        yield Mark(dot(x(value), y), "hole")
    yield Mark(dot(x(each.first), y), "explore", f"trial {trial}: {number(each.first)}")


def _curse_text(study: Study, reruns: Sequence[Rerun]) -> str:
    best = reruns[0]
    again = f"run again {len(best.again)} times, {with_error(best.mean_again, best.error_again)} in the mean"
    believed = f"; all rewards together say {interval(best.belief)}" if best.belief else ""
    return (
        f"The best batch, trial {study.id(best.place)}, was worth {number(best.first)}; "
        f"{again if best.again else 'its settings were not run again'}{believed}."
    )
