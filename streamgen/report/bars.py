"""Bars: level ones that compare things by their names, upright ones along a scale of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from streamgen.report.plot import WIDTH, Label, Mark, Numbers, Plot, Scale, box, line, percent_of
from streamgen.report.study import both_ends, grid, levels
from streamgen.report.text import number, shown

MOST = 16  # bars of a picture; the table has more
_STEP, _THICK = 24, 15  # pixels from bar to bar, and of one
_LONGEST = 0.66  # of the width: behind the bar there is room for its number
_ROOM = 14  # characters behind a bar
_HEIGHT = 130
_THINNEST = 6.0


class Bar(NamedTuple):
    """A thing, its size, and that size as people write it."""

    name: str
    size: float
    written: str


class Frame(NamedTuple):
    """What is said about a picture, whatever is in it."""

    id: str
    title: str
    about: str


def counts(values: Mapping[str, int]) -> list[Bar]:
    """A bar for each count, with its share of all, the greatest first."""
    total = sum(values.values()) or 1
    ordered = sorted(values.items(), key=lambda item: -item[1])
    return [Bar(name, count, f"{number(count)} ({100 * count / total:.0f} %)") for name, count in ordered]


def level_bars(frame: Frame, bars: Sequence[Bar], columns: tuple[str, str], *, full: float | None = None) -> Plot:
    """A bar below the other, each with its name before it; one of size `full`, or the longest, takes the width.

    Where `full` is stands a line.
    """
    seen = bars[:MOST]
    longest = full or max(bar.size for bar in bars) or 1.0
    left_out = f" {number(len(bars) - MOST)} smaller ones are in the table." if len(bars) > MOST else ""
    ends = [Scale(0.0, longest, 0.0, WIDTH * _LONGEST)(bar.size) for bar in seen]
    middles = [_STEP * place + _STEP / 2 for place in range(len(seen))]
    return Plot(
        id=frame.id,
        title=frame.title,
        about=frame.about + left_out,
        text="; ".join(f"{shown(bar.name, 40)}: {bar.written}" for bar in seen[:6]) + ".",
        height=_STEP * len(seen),
        marks=[
            *(Mark(f"M{end:g} 0V{_STEP * len(seen)}", "axis") for end in (0.0, *([WIDTH * _LONGEST] if full else []))),
            *(Mark(box(0, middle - _THICK / 2, max(end, 2.0), middle + _THICK / 2), "count", _title(bar))
              for bar, end, middle in zip(seen, ends, middles, strict=True)),
        ],
        rows=[Label(middle, bar.name or "(none)") for bar, middle in zip(seen, middles, strict=True)],
        inside=[(percent_of(end), middle, _short(bar)) for bar, end, middle in zip(seen, ends, middles, strict=True)],
        numbers=Numbers(columns, *both_ends([[bar.name or "(none)", bar.written] for bar in bars])),
        gutter=128,
    )  # fmt: skip


def _short(bar: Bar) -> str:
    """Without the share where there is no room for it."""
    return bar.written if len(bar.written) <= _ROOM else bar.written.partition(" (")[0]


def _title(bar: Bar) -> str:
    return f"{shown(bar.name, 80)}: {bar.written}"


def upright_bars(frame: Frame, found: Mapping[float, int], middle: Sequence[float]) -> Plot:
    """How often numbers came, each by its place on the scale; `middle` are p5, p50 and p95, where they are known.

    Equal parts of a range are told by where each begins.
    """
    begins = sorted(found)
    width = min((other - one for one, other in pairwise(begins)), default=1.0)
    low, high = min([begins[0], *middle]), max([begins[-1] + width, *middle])
    x, y = Scale(low, high, 0.0, WIDTH), Scale(0.0, max(found.values()) * 1.08, _HEIGHT, 6)
    bars = [
        Mark(box(x(at), y(found[at]), max(x(at + width) - 1, x(at) + _THINNEST), y(0)), "count",
             f"from {number(at)}: {number(found[at])}")
        for at in begins if found[at]
    ]  # fmt: skip
    return Plot(
        id=frame.id,
        title=frame.title,
        about=frame.about,
        text=_told(found, middle),
        height=_HEIGHT,
        marks=[Mark(grid(y), "axis"), *_nine_tenths(x, middle), *bars, *_median(x, middle)],
        rows=levels(y),
        columns=[Label(percent_of(x(value)), number(value)) for value in x.ticks(4)],
        legend=[("count", "records"), *([("spread", "nine tenths"), ("mean", "median")] if middle else [])],
        numbers=Numbers(("from", "records"), *both_ends([[number(at), number(found[at])] for at in begins])),
    )


def _nine_tenths(x: Scale, middle: Sequence[float]) -> list[Mark]:
    return [Mark(box(x(middle[0]), 0, max(x(middle[2]), x(middle[0]) + 2), _HEIGHT), "spread")] if middle else []


def _median(x: Scale, middle: Sequence[float]) -> list[Mark]:
    return [Mark(line([(x(middle[1]), 0), (x(middle[1]), _HEIGHT)]), "mean")] if middle else []


def _told(found: Mapping[float, int], middle: Sequence[float]) -> str:
    most = max(found, key=lambda at: found[at])
    told = f"Most records, {number(found[most])}, stand at {number(most)}."
    if not middle:
        return told
    return f"{told} Nine tenths lie from {number(middle[0])} to {number(middle[2])}, the median is {number(middle[1])}."
