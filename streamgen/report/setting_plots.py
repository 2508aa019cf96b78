"""Pictures of the settings: which ones were tried, and what is believed along each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from streamgen.report.plot import WIDTH, Label, Mark, Numbers, Plot, Scale, area, box, dot, line, percent_of, spanning
from streamgen.report.study import Study, both_ends, error_of, grid, is_failed, levels, outcome_of, with_error
from streamgen.report.text import number
from streamgen.report.trial_axes import Axis, text_of

if TYPE_CHECKING:
    from streamgen.report.beliefs import Believed

SHADES = 7
SPACING = 96  # pixels between axes: two words of a setting's name
MOST_AXES = 40
MOST_CURVES = 30
HEIGHT = 260
LOW = 14  # pixels: where the axes end, above and below
SMALL = 120
CHOICE = 26


def explored_plot(study: Study) -> Plot | None:
    """Every trial as a line through its settings, coloured by its reward."""
    axes = [*study.axes, *study.share_axes][: MOST_AXES - 1]
    results = study.facts.results
    told = sorted((value, place) for place in study.shown if (value := results[place].value) is not None)
    if not axes or not told:
        return None
    x = Scale(0, len(axes) + 1, 0, WIDTH)
    rewards = spanning([value for value, _ in told], HEIGHT - LOW, LOW)
    marks = [Mark("".join(f"M{x(i + 0.5):g} {LOW}V{HEIGHT - LOW}" for i in range(len(axes) + 1)), "axis")]
    marks += [_failed_line(study, place, axes, x) for place in study.shown if is_failed(results[place])]
    for value, place in told:
        marks.append(_trial_line(study, place, axes, x, rewards, _shade(value, told[0][0], told[-1][0])))
    return Plot(
        id="explored",
        title="Settings that were tried",
        about="Each line is a trial: it crosses every axis at its setting and ends at its reward, which colours it. "
        "It breaks where a setting does not count or is left to the stage. Dashed lines are trials that failed.",
        text=f"{len(told)} trials over {len(axes)} axes: {', '.join(axis.title for axis in axes)}.",
        height=HEIGHT,
        marks=marks,
        rows=[],
        columns=[],
        heads=[
            Label(percent_of(x(i + 0.5)), title) for i, title in enumerate([*(axis.title for axis in axes), "reward"])
        ],
        inside=[
            *_axis_labels(axes, x),
            *((percent_of(x(len(axes) + 0.5)), rewards(tick), number(tick)) for tick in rewards.ticks()),
        ],
        legend=[("shades", f"reward from {number(told[0][0])} to {number(told[-1][0])}")],
        numbers=_tried_numbers(study, axes),
        gutter=0,
        least=SPACING * (len(axes) + 1),
    )


def _axis_labels(axes: Sequence[Axis], x: Scale) -> Iterator[tuple[float, float, str]]:
    for index, axis in enumerate(axes):
        for place, text in axis.ticks():
            yield percent_of(x(index + 0.5)), _height(place), text


def _height(place: float) -> float:
    return round(HEIGHT - LOW - place * (HEIGHT - 2 * LOW), 1)


def _pieces(study: Study, place: int, axes: Sequence[Axis], x: Scale) -> list[list[tuple[float, float]]]:
    """Where a trial's line goes, broken where it has no value."""
    shown = study.facts.results[place].trial.shown
    pieces: list[list[tuple[float, float]]] = [[]]
    for index, axis in enumerate(axes):
        if (at := axis.place(shown)) is None:
            pieces.append([])
        else:
            pieces[-1].append((x(index + 0.5), _height(at)))
    return pieces


def _path(pieces: Sequence[Sequence[tuple[float, float]]]) -> str:
    return "".join(line(piece) if len(piece) > 1 else dot(*piece[0]) for piece in pieces if piece)


def _trial_line(study: Study, place: int, axes: Sequence[Axis], x: Scale, rewards: Scale, shade: int) -> Mark:
    result = study.facts.results[place]
    pieces = _pieces(study, place, axes, x)
    pieces[-1].append((x(len(axes) + 0.5), rewards(result.value or 0.0)))
    title = f"trial {result.trial.id}: {with_error(result.value, error_of(result))}"
    return Mark(_path(pieces), f"shade s{shade}", title)


def _failed_line(study: Study, place: int, axes: Sequence[Axis], x: Scale) -> Mark:
    return Mark(_path(_pieces(study, place, axes, x)), "broken", f"trial {study.id(place)}: failed")


def _shade(value: float, low: float, high: float) -> int:
    return int(Scale(low, high, 0, SHADES - 1)(value) + 0.5)


def _tried_numbers(study: Study, axes: Sequence[Axis]) -> Numbers:
    rows = [
        [str(result.trial.id), outcome_of(result), *(text_of(axis.value(result.trial.shown)) for axis in axes)]
        for result in study.facts.results
    ]  # fmt: skip
    return Numbers(("trial", "reward", *(axis.title for axis in axes)), *both_ends(rows))


def belief_plots(study: Study) -> list[Plot]:
    """What is believed along each axis, with everything else as recommended."""
    if study.beliefs is None or study.best is None:
        return []
    axes = [axis for axis in study.axes if axis.name in study.best or axis.name not in study.space.conditions]
    curves = [(axis, study.beliefs.along(axis, study.best)) for axis in axes[:MOST_CURVES]]
    values = [value for result in study.facts.results if (value := result.value) is not None]
    means = [each.belief.mean for _, curve in curves for each in curve]
    low, high = min([*values, *means]), max([*values, *means])
    return [
        (_choice_plot if axis.choices else _curve_plot)(study, index, axis, curve, (low, high))
        for index, (axis, curve) in enumerate(curves)
    ]


def _curve_plot(study: Study, index: int, axis: Axis, curve: Sequence[Believed], ends: tuple[float, float]) -> Plot:
    x, y = Scale(0, 1, 0, WIDTH), spanning(ends, SMALL, 0)
    upper = [(x(each.place), y(each.belief.high)) for each in curve]
    lower = [(x(each.place), y(each.belief.low)) for each in curve]
    marks = [Mark(grid(y), "axis"), Mark(area(upper, lower), "spread")]
    marks.append(Mark(line((x(each.place), y(each.belief.mean)) for each in curve), "mean"))
    marks += [Mark(dot(x(at), y(value)), "tried") for at, value in _tried(study, axis)]
    marks += [Mark(f"M{x(at):g} 0V{SMALL}", "here") for at in _recommended(study, axis)]
    best = max(curve, key=lambda each: each.belief.mean)
    return Plot(
        id=f"belief-{index}",
        title=axis.title,
        about="",
        text=f"Highest mean, {number(best.belief.mean)}, at {_text_at(axis, best.place, study)}.",
        height=SMALL,
        marks=marks,
        rows=levels(y),
        columns=[Label(100 * place, text) for place, text in axis.ticks()],
        numbers=_belief_numbers(study, axis, curve),
    )


def _choice_plot(study: Study, index: int, axis: Axis, curve: Sequence[Believed], ends: tuple[float, float]) -> Plot:
    x, height = spanning(ends, 0, WIDTH), CHOICE * len(curve)
    marks = [Mark("".join(f"M{x(tick):g} 0V{height}" for tick in x.ticks(3)), "axis")]
    chosen = [text_of(axis.value(study.best or {}))]
    for row, each in enumerate(curve):
        top, middle = CHOICE * row + 4, CHOICE * row + CHOICE / 2
        marks.append(Mark(box(x(each.belief.low), top, x(each.belief.high), top + CHOICE - 8), "spread"))
        marks.append(Mark(f"M{x(each.belief.mean):g} {top}v{CHOICE - 8}", "mean"))
        marks += [
            Mark(dot(x(value), middle), "tried") for at, value in _tried(study, axis) if abs(at - each.place) < 1e-9
        ]
    best = max(curve, key=lambda each: each.belief.mean)
    return Plot(
        id=f"belief-{index}",
        title=axis.title,
        about="",
        text=f"Highest mean, {number(best.belief.mean)}, with {_text_at(axis, best.place, study)}.",
        height=height,
        marks=marks,
        rows=[
            Label(CHOICE * row + CHOICE / 2, ("➤ " if text in chosen else "") + text)
            for row, (_, text) in enumerate(axis.ticks())
        ],
        columns=[Label(percent_of(x(tick)), number(tick)) for tick in x.ticks(3)],
        numbers=_belief_numbers(study, axis, curve),
        gutter=110,
    )


def _tried(study: Study, axis: Axis) -> Iterator[tuple[float, float]]:
    """Where rewarded trials stand on the axis, and their rewards."""
    for place in study.shown:
        result = study.facts.results[place]
        value, at = result.value, axis.place(result.trial.settings)
        if value is not None and at is not None:
            yield at, value


def _recommended(study: Study, axis: Axis) -> list[float]:
    place = axis.place(study.best or {})
    return [] if place is None else [place]


def _text_at(axis: Axis, place: float, study: Study) -> str:
    return text_of(axis.value(axis.at(place, study.best or {})))


def _belief_numbers(study: Study, axis: Axis, curve: Sequence[Believed]) -> Numbers:
    chosen = curve if axis.choices else curve[::4]
    rows = [
        [axis.title, _text_at(axis, each.place, study),
         number(each.belief.mean), number(each.belief.low), number(each.belief.high)] for each in chosen
    ]  # fmt: skip
    return Numbers(("parameter", "value", "mean", "95 % from", "to"), rows)
