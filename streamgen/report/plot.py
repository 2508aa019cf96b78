"""Pictures that fit every width: shapes in a stretched SVG, all words around it in HTML, and a table of the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

WIDTH = 1000.0
"""Of every plot, in units that the page stretches to what it has; heights are in pixels."""
EDGE = 14.0  # keeps marks at either end whole


class Mark(msgspec.Struct, frozen=True):
    """A path; `kind` is the class that gives it its look, `title` what a pointer over it shows."""

    d: str
    kind: str
    title: str = ""


class Label(NamedTuple):
    """A text at a place of an axis: in pixels from the top beside the plot, in percent of its width below it."""

    place: float
    text: str


class Numbers(msgspec.Struct, frozen=True):
    """What a plot shows, as a table; `more` rows are left out."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int = 0


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """A picture. `about` says what is shown, `text` what there is to see, for those who do not see it.

    `rows` label the vertical axis, within `gutter` pixels, `columns` the horizontal one, `heads` stand above, `inside`
    are texts at a percentage of the width and pixels from the top.
    `legend` explains kinds of marks. The plot is at least `least` pixels wide and scrolls where there are fewer.
    """

    id: str
    title: str
    about: str
    text: str
    height: float
    marks: Sequence[Mark]
    rows: Sequence[Label] = ()
    columns: Sequence[Label] = ()
    heads: Sequence[Label] = ()
    inside: Sequence[tuple[float, float, str]] = ()
    legend: Sequence[tuple[str, str]] = ()
    numbers: Numbers = Numbers((), ())
    gutter: int = 56
    least: int = 0


class Scale(NamedTuple):
    """Maps values from `low` to `high` onto places from `start` to `end`; what lies outside stands at the end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The value's place, to a tenth."""
        span = self.high / 2 - self.low / 2  # halves: the difference of two huge numbers may be infinite
        inside = (value / 2 - self.low / 2) / span if span > 0 else 0.5
        return round(self.start + min(max(inside, 0.0), 1.0) * (self.end - self.start), 1)

    def ticks(self, count: int = 4) -> list[float]:
        """About `count` round values within the scale.

        >>> Scale(0.13, 0.92, 0, 1).ticks()
        [0.2, 0.4, 0.6, 0.8]
        """
        step = _round_step((self.high / 2 - self.low / 2) * 2 / count)
        if not step:
            return [self.low]
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [float(f"{step * place:.12g}") for place in range(first, last + 1)]


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, near the step; 0 where there is none."""
    if not 1e-300 < step < 1e300:
        return 0.0
    power = 10.0 ** math.floor(math.log10(step))
    return power * min((1, 2, 5, 10), key=lambda factor: abs(factor - step / power))


def spanning(values: Iterable[float], start: float, end: float, *, zero: bool = False) -> Scale:
    """A scale with a little room around the values; `zero` makes it begin there."""
    found = [*values, *([0.0] if zero else [])]
    low, high = min(found, default=0.0), max(found, default=1.0)
    room = (high / 2 - low / 2) * 0.12 or abs(high) * 0.1 or 1.0
    return Scale(low if zero else low - room, high + room, start, end)


def across(count: int) -> Scale:
    """Places of things that are numbered from 0."""
    return Scale(0.0, max(count - 1, 1), EDGE, WIDTH - EDGE) if count > 1 else Scale(0.0, 0.0, 0.0, WIDTH)


def dot(x: float, y: float) -> str:
    """A point; its kind's stroke gives it size and shape."""
    return f"M{x:g} {y:g}h.01"


def line(points: Iterable[tuple[float, float]]) -> str:
    """Straight from point to point."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def steps(points: Sequence[tuple[float, float]]) -> str:
    """Level from each point to the next one's x."""
    (x, y), *rest = points
    return f"M{x:g} {y:g}" + "".join(f"H{right:g}V{level:g}" for right, level in rest)


def area(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    """All between two lines."""
    return line([*upper, *reversed(lower)]) + "Z"


def box(left: float, top: float, right: float, bottom: float) -> str:
    """A rectangle."""
    return f"M{left:g} {top:g}H{right:g}V{bottom:g}H{left:g}Z"


def percent_of(x: float) -> float:
    """A place of the plot's width in percent, for labels below it."""
    return round(100 * x / WIDTH, 2)
