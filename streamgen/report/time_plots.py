"""Pictures of a run over time: what it kept and spent, how fast it was, and how its measures went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from streamgen.report.plot import WIDTH, Label, Mark, Numbers, Plot, Scale, area, box, line, spanning
from streamgen.report.study import both_ends, grid, levels
from streamgen.report.text import duration, number, usd
from streamgen.timeline import Moment

HEIGHT = 170
SMALL = 80
BARS = 48
LEAST = 3  # moments that are worth a picture


class Quantity(NamedTuple):
    """What grows with time, and how it is written."""

    id: str
    title: str
    about: str
    name: str
    of: Callable[[Moment], float]
    written: Callable[[float], str]


RECORDS = Quantity(
    "kept-over-time", "Records over time", "Accepted records so far, by the time that the run has worked.",
    "records", lambda moment: float(moment.accepted), number,
)  # fmt: skip
DOLLARS = Quantity(
    "spent-over-time", "Spending over time", "Dollars paid so far.", "dollars", lambda moment: moment.usd or 0.0, usd
)
TOKENS = Quantity(
    "spent-over-time", "Tokens over time", "Tokens read and written so far.",
    "tokens", lambda moment: float(moment.tokens), number,
)  # fmt: skip


def time_plots(moments: Sequence[Moment]) -> list[Plot]:
    """Records kept, speed and spending; nothing for a run that was over at once."""
    if len(moments) < LEAST or not moments[-1].seconds:
        return []
    is_priced = bool(moments[-1].usd) and all(moment.usd is not None for moment in moments)
    spending = [_growth(moments, DOLLARS if is_priced else TOKENS)] if moments[-1].tokens else []
    return [_growth(moments, RECORDS), _speed(moments), *spending]


def measure_plots(moments: Sequence[Moment]) -> list[Plot]:
    """A small picture of each measure that changed while the run went on."""
    names = dict.fromkeys(name for moment in moments for name in moment.measures)
    told = {name: [(each.seconds, each.measures[name]) for each in moments if name in each.measures] for name in names}
    changed = [
        name for name, points in told.items() if len(points) >= LEAST and len({value for _, value in points}) > 1
    ]
    return [_measure(index, name, told[name], moments[-1].seconds) for index, name in enumerate(changed)]


def _growth(moments: Sequence[Moment], quantity: Quantity) -> Plot:
    values = [quantity.of(moment) for moment in moments]
    x, y = Scale(0.0, moments[-1].seconds, 0.0, WIDTH), Scale(0.0, max(*values, 1e-9) * 1.08, HEIGHT, 8)
    points = [(0.0, y(0)), *((x(moment.seconds), y(value)) for moment, value in zip(moments, values, strict=True))]
    rows = [[duration(each.seconds), quantity.written(value)] for each, value in zip(moments, values, strict=True)]
    return Plot(
        id=quantity.id,
        title=quantity.title,
        about=quantity.about,
        text=f"{quantity.name}: {quantity.written(values[-1])} after {duration(moments[-1].seconds)}.",
        height=HEIGHT,
        marks=[
            Mark(grid(y), "axis"),
            Mark(area(points, [(0.0, y(0)), (WIDTH, y(0))]), "all"),
            Mark(line(points), "mean"),
        ],
        rows=[Label(y(value), quantity.written(value)) for value in y.ticks()],
        columns=_hours(moments[-1].seconds),
        numbers=Numbers(("after", quantity.name), *both_ends(rows)),
        gutter=72,
    )


def _speed(moments: Sequence[Moment]) -> Plot:
    """Records a minute, between moments far enough apart to tell."""
    end = moments[-1].seconds
    kept = [moments[0]]
    for moment in moments[1:]:
        if moment.seconds - kept[-1].seconds >= end / BARS:
            kept.append(moment)
    spans = [(one.seconds, other.seconds, 60 * (other.accepted - one.accepted) / (other.seconds - one.seconds))
             for one, other in pairwise(kept)]  # fmt: skip
    highest = max(rate for _, _, rate in spans)
    x, y = Scale(0.0, end, 0.0, WIDTH), Scale(0.0, (highest or 1.0) * 1.08, HEIGHT, 8)
    bars = [Mark(box(x(first), y(rate), x(last), y(0)), "all", f"{duration(first)} to {duration(last)}: {number(rate)}")
            for first, last, rate in spans]  # fmt: skip
    rows = [[f"{duration(first)} to {duration(last)}", number(rate)] for first, last, rate in spans]
    return Plot(
        id="speed",
        title="Records a minute",
        about="How many records were accepted a minute. It falls towards the end, when fewer are still asked for.",
        text=f"At most {number(highest)} a minute, {number(60 * moments[-1].accepted / end)} over the whole run.",
        height=HEIGHT,
        marks=[Mark(grid(y), "axis"), *bars],
        rows=levels(y),
        columns=_hours(end),
        numbers=Numbers(("time", "records a minute"), *both_ends(rows)),
        gutter=72,
    )


def _measure(index: int, name: str, points: Sequence[tuple[float, float]], end: float) -> Plot:
    x, y = Scale(0.0, end, 0.0, WIDTH), spanning([value for _, value in points], SMALL, 4)
    rows = [[duration(seconds), number(value)] for seconds, value in points]
    return Plot(
        id=f"measure-{index}",
        title=name,
        about="",
        text=f"From {number(points[0][1])} to {number(points[-1][1])}.",
        height=SMALL,
        marks=[Mark(grid(y), "axis"), Mark(line((x(seconds), y(value)) for seconds, value in points), "mean")],
        rows=levels(y),
        columns=_hours(end),
        numbers=Numbers(("after", name), *both_ends(rows)),
    )


def _hours(end: float) -> list[Label]:
    return [Label(0, "0"), Label(50, duration(end / 2)), Label(100, duration(end))]
