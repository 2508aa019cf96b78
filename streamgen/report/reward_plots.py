"""Pictures of rewards over trials: what was earned, what was missed, and how good a lucky batch is when run again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from statistics import fmean
from typing import TYPE_CHECKING

from streamgen.control.agent import Kind
from streamgen.report.plot import (
    WIDTH,
    Mark,
    Numbers,
    Plot,
    Scale,
    box,
    dot,
    line,
    spanning,
    steps,
)
from streamgen.report.study import (
    LOOKS,
    Study,
    both_ends,
    error_of,
    grid,
    held,
    interval,
    is_failed,
    levels,
    outcome_of,
    with_error,
)
from streamgen.report.text import number, rounded

if TYPE_CHECKING:
    from streamgen.report.beliefs import Belief

HEIGHT = 240
TOP = 12


def reward_plot(study: Study) -> Plot | None:
    """Rewards with their standard errors, the best so far, and what is believed of the recommended settings."""
    results = study.facts.results
    told = {place: value for place, result in enumerate(results) if (value := result.value) is not None}
    if not told:
        return None
    ends = [end for place, value in told.items() for end in _ends(value, error_of(results[place]))]
    worth = study.worth
    y = spanning([*ends, *(held(worth, ends) if worth else [])], HEIGHT - 14, TOP)
    failed = [place for place in study.shown if is_failed(results[place])]
    marks = [Mark(grid(y), "axis"), *_worth_marks(worth, y), *_best_marks(study, told, y)]
    marks += [mark for place in study.shown if place in told for mark in _reward_marks(study, place, y)]
    marks += [
        Mark(f"M{study.x()(place):g} {HEIGHT}v-10", "failed", f"trial {study.id(place)}: failed") for place in failed
    ]
    return Plot(
        id="rewards",
        title="Reward by trial",
        about="Each mark is the reward of one trial, with one standard error up and down where it is known."
        + (" The band is what all rewards together say of the recommended settings: posterior mean and 95 % interval."
           if worth else "")
        + (" Ticks at the bottom are trials that failed." if failed else ""),
        text=_reward_text(study, told),
        height=HEIGHT,
        marks=marks,
        rows=levels(y),
        columns=study.columns(),
        legend=_reward_legend(study, told, bool(failed)),
        numbers=_reward_numbers(study),
    )  # fmt: skip


def regret_plot(study: Study) -> Plot | None:
    """What each trial is believed to have missed beside the recommended settings, and the mean of that so far."""
    if study.beliefs is None or study.best is None:
        return None
    places = [place for place, result in enumerate(study.facts.results) if result.value is not None]
    missed = study.beliefs.lacks([study.facts.results[place].trial.settings for place in places], study.best)
    means = [total / count for count, total in enumerate(accumulate(each.mean for each in missed), 1)]
    shown = [index for index, place in enumerate(places) if place in set(study.shown)]
    x, y = (
        study.x(),
        spanning([end for each in missed for end in (each.mean - each.sd, each.mean + each.sd, 0.0)], HEIGHT, TOP),
    )
    marks = [Mark(grid(y), "axis"), Mark(f"M0 {y(0):g}H{WIDTH:g}", "zero")]
    for index in shown:
        trial, each = study.facts.results[places[index]].trial, missed[index]
        marks += _measured(
            trial.kind, x(places[index]), y, each.mean, each.sd, f"trial {trial.id}: {_plus_minus(each)}"
        )
    marks.append(Mark(line((x(places[index]), y(means[index])) for index in shown), "mean"))
    rows, more = both_ends(
        [[str(study.id(place)), study.facts.results[place].trial.kind, _plus_minus(each), number(mean)]
         for place, each, mean in zip(places, missed, means, strict=True)]
    )  # fmt: skip
    return Plot(
        id="regret",
        title="Regret by trial",
        about="How much less each trial's settings are believed to be worth than the recommended ones, with one "
        "standard deviation up and down. Both are judged by all rewards together, so that luck is no merit; failed "
        "trials are left out. The line is the mean so far: it falls while the controller learns.",
        text=f"{len(places)} trials; the mean regret is {number(means[-1])} over all of them and "
        f"{number(fmean(each.mean for each in missed[-max(1, len(missed) // 3) :]))} over the last third.",
        height=HEIGHT,
        marks=marks,
        rows=levels(y),
        columns=study.columns(),
        legend=[*_kinds(study, places), ("mean", "mean so far")],
        numbers=Numbers(("trial", "kind", "regret", "mean so far"), rows, more),
    )


def _ends(value: float, error: float) -> tuple[float, float]:
    return value - error, value + error


def _worth_marks(worth: Belief | None, y: Scale) -> list[Mark]:
    if worth is None:
        return []
    title = f"recommended settings: {interval(worth)}"
    return [
        Mark(box(0, y(worth.high), WIDTH, y(worth.low)), "band", title),
        Mark(f"M0 {y(worth.mean):g}H{WIDTH:g}", "worth", title),
    ]


def _best_marks(study: Study, told: Mapping[int, float], y: Scale) -> list[Mark]:
    x = study.x()
    best = list(accumulate(told.values(), max))
    points = [(x(place), y(value)) for place, value in zip(told, best, strict=True)]
    kept = [point for index, point in enumerate(points) if not index or point[1] != points[index - 1][1]]
    return [Mark(steps([*kept, (points[-1][0], kept[-1][1])]), "best")] if len(told) > 1 else []


def _reward_marks(study: Study, place: int, y: Scale) -> Iterator[Mark]:
    result = study.facts.results[place]
    value, error = result.value or 0.0, error_of(result)
    title = f"trial {result.trial.id}, {result.trial.kind}: {with_error(value, error)}"
    return _measured(result.trial.kind, study.x()(place), y, value, error, title)


def _measured(kind: Kind, x: float, y: Scale, value: float, error: float, title: str) -> Iterator[Mark]:
    """A mark of this kind, with its error up and down."""
    if error:
        yield Mark(f"M{x:g} {y(value - error):g}V{y(value + error):g}", "error")
    yield Mark(dot(x, y(value)), kind, title)
    if kind in ("incumbent", "recommended"):
        yield Mark(dot(x, y(value)), "hole" if kind == "incumbent" else "eye")


def _kinds(study: Study, places: Iterable[int]) -> list[tuple[str, str]]:
    kinds = {study.facts.results[place].trial.kind for place in places}
    return [(kind, text) for kind, text in LOOKS.items() if kind in kinds]


def _reward_legend(study: Study, told: Mapping[int, float], has_failed: bool) -> list[tuple[str, str]]:
    legend = _kinds(study, told)
    legend += [("best", "best single reward so far")] if len(told) > 1 else []
    legend += [("failed", "failed")] if has_failed else []
    return legend + ([("worth", "believed worth of the recommended settings")] if study.worth else [])


def _reward_numbers(study: Study) -> Numbers:
    rows = [
        [str(result.trial.id), result.trial.kind, outcome_of(result), str(result.reward.n) if result.reward else "-",
         interval(belief)]
        for result, belief in zip(study.facts.results, study.believed, strict=True)
    ]  # fmt: skip
    return Numbers(("trial", "kind", "reward", "records", "believed (95 %)"), *both_ends(rows))


def _reward_text(study: Study, told: Mapping[int, float]) -> str:
    values = told.values()
    best = max(told, key=lambda place: told[place])
    failed = sum(map(is_failed, study.facts.results))
    return (
        f"{len(study.facts.results)} trials, {len(told)} with a reward from {number(min(values))} to "
        f"{number(max(values))}, {failed} failed. The highest is trial {study.id(best)}."
        + (f" The recommended settings are believed to be worth {interval(study.worth)}." if study.worth else "")
    )


def _plus_minus(belief: Belief) -> str:
    return f"{number(belief.mean)} ± {rounded(belief.sd)}"
