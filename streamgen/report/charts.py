"""Geometry of the page's pictures: bars of measures, and the rewards of trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from streamgen.control.controller import TrialResult
from streamgen.record import Value
from streamgen.report.text import number, shown

_ROWS = 30  # of one measure
_BLOCKS = 40  # of one metric
_POINTS = 400


class Measure(msgspec.Struct, frozen=True):
    """One line of a metric; `share` (0 to 1) is the length of its bar, None where lengths would say nothing."""

    name: str
    value: str
    share: float | None = None


class Block(msgspec.Struct, frozen=True):
    """Measures that belong together; `more` are left out."""

    title: str
    measures: Sequence[Measure]
    more: int = 0


class Point(msgspec.Struct, frozen=True):
    """A trial's reward in the picture's coordinates; `low` and `high` are one standard error away."""

    x: float
    y: float
    low: float
    high: float
    kind: str
    label: str


class RewardChart(msgspec.Struct, frozen=True):
    """Rewards over trials; `ticks` are places and texts on the y axis."""

    width: int
    height: int
    left: int
    bottom: int
    points: Sequence[Point]
    ticks: Sequence[tuple[float, str]]
    first: int
    last: int


def blocks_of(name: str, result: Value) -> list[Block]:
    """A metric's result, whatever its shape, as blocks of lines: one for each object in it."""
    return list(_blocks(name, result))[:_BLOCKS]


def _blocks(title: str, value: Value, depth: int = 0) -> Iterator[Block]:
    if not isinstance(value, Mapping):
        yield Block(title, [Measure("", shown(value, 200))])
        return
    plain = {str(name): item for name, item in value.items() if not isinstance(item, Mapping)}
    if plain:
        longest = max(plain.values()) if depth and _are_counts(plain) else 0
        lines = [Measure(shown(k, 80), _value(v), v / longest if longest else None) for k, v in plain.items()]
        yield Block(title, lines[:_ROWS], max(0, len(lines) - _ROWS))
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _blocks(f"{title}: {shown(str(name), 80)}", item, depth + 1)


def _are_counts(values: Mapping[str, Value]) -> bool:
    """Whether these are all of one unit, so that bars compare them."""
    return len(values) > 1 and all(type(value) is int and value >= 0 for value in values.values())


def _value(value: Value) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return number(value) if is_number or value is None else shown(value, 200)


def reward_chart(trials: Sequence[TrialResult]) -> RewardChart | None:
    """The rewards of at most 400 trials, evenly chosen; None where there are not two to compare."""
    told = [(result, result.reward.value) for result in trials if result.reward and result.reward.value is not None]
    if len(told) < 2:
        return None
    told = told[:: -(-len(told) // _POINTS)]
    width, height, left, bottom, margin = 720, 240, 64, 28, 12
    values = [value for _, value in told]
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room
    first, last = told[0][0].trial.id, told[-1][0].trial.id

    def x(trial: int) -> float:
        return round(left + margin + (trial - first) / (last - first) * (width - left - 2 * margin), 1)

    def y(value: float) -> float:
        inside = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(height - bottom - inside * (height - bottom - margin), 1)

    points = []
    for result, value in told:
        error = (result.reward.se if result.reward else None) or 0.0
        label = f"trial {result.trial.id}, {result.trial.kind}: {number(value)}"
        places = (x(result.trial.id), y(value), y(value - error), y(value + error))
        points.append(Point(*places, result.trial.kind, label))
    ticks = [(y(value), number(value)) for value in (low + room, (low + high) / 2, high - room)]
    return RewardChart(width, height, left, bottom, points, ticks, first, last)
