"""Pictures of metrics by the shape of what they tell, so that a user's own metric gets them too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from streamgen.record import Value
from streamgen.report.bars import Bar, Frame, counts, level_bars, upright_bars
from streamgen.report.plot import Plot
from streamgen.report.text import number, shown
from streamgen.report.topic_plots import topic_plots

_PLOTS = 60  # of all metrics
_LARGEST = 2**53  # counts beyond are none

Shape: TypeAlias = Callable[[Frame, Mapping[str, Value]], Sequence[Plot]]
"""Draws what has this shape; nothing of what has not."""


def metric_plots(metrics: Mapping[str, Value]) -> list[Plot]:
    """A picture of each part of a result that has one: spreads, counts, shares, topics, duplicates, diversity."""
    found = [plot for name, result in metrics.items() for plot in _plots(shown(name, 80), result)]
    return [msgspec.structs.replace(plot, id=f"metric-{n}") for n, plot in enumerate(found[:_PLOTS])]


def _plots(title: str, value: Value) -> Iterator[Plot]:
    if not isinstance(value, Mapping):
        return
    told = {str(name): item for name, item in value.items()}
    for shape in _SHAPES:
        if plots := shape(Frame("", title, ""), told):
            yield from plots
            return
    for name, item in told.items():
        yield from _plots(f"{title}: {shown(name, 80)}", item)


def _spread(frame: Frame, told: Mapping[str, Value]) -> Sequence[Plot]:
    """A histogram, with quantiles where they are known."""
    bars = told.get("histogram")
    if not isinstance(bars, Mapping) or not _are_counts(bars) or not all(map(_is_number, bars)):
        return []
    middle = _reals(told, ("p5", "p50", "p95"))
    about = f"How the records spread; the mean is {number(told['mean'])}." if _is_real(told.get("mean")) else ""
    found = {float(at): count for at, count in bars.items()}
    return [upright_bars(frame._replace(about=about), found, list(middle.values()))]


def _duplicates(frame: Frame, told: Mapping[str, Value]) -> Sequence[Plot]:
    """How many records say something of their own."""
    records, distinct = told.get("records"), told.get("distinct")
    if not isinstance(records, int) or not isinstance(distinct, int) or not 0 < distinct <= records:
        return []
    about = "Records that say something of their own, and those that say what another one says already."
    bars = counts({"distinct": distinct, "said already": records - distinct})
    return [level_bars(frame._replace(about=about), bars, ("records", "how many"), full=records)]


def _kinds(frame: Frame, told: Mapping[str, Value]) -> Sequence[Plot]:
    """Effective numbers of kinds."""
    found = _reals(told, ("vendi", "rke"))
    if not found:
        return []
    about = f"As many kinds of records as would differ fully, among {number(told.get('records'))}."
    bars = [Bar(name, value, number(value)) for name, value in found.items()]
    return [level_bars(frame._replace(about=about), bars, ("score", "kinds"))]


def _counts(frame: Frame, told: Mapping[str, Value]) -> Sequence[Plot]:
    """How many of each kind."""
    is_inner = ": " in frame.title  # a metric's own numbers, side by side, are seldom of one unit
    if not is_inner or not _are_counts(told) or len(told) < 2:
        return []
    about = f"{number(sum(told.values()))} in {number(len(told))} kinds."
    return [level_bars(frame._replace(about=about), counts(told), ("value", "how many"))]


def _shares(frame: Frame, told: Mapping[str, Value]) -> Sequence[Plot]:
    """Numbers from 0 to 1, side by side, and what lies within them."""
    found = {name: value for name, value in told.items() if isinstance(value, float) and 0 <= value <= 1}
    if len(found) < 2:
        return []
    bars = [Bar(name, value, number(value)) for name, value in found.items()]
    inner = [plot for name, item in told.items() for plot in _plots(f"{frame.title}: {shown(name, 80)}", item)]
    about = "Numbers from 0 to 1, where the line to the right is."
    return [level_bars(frame._replace(about=about), bars, ("measure", "value"), full=1.0), *inner]


_SHAPES: Sequence[Shape] = (_spread, topic_plots, _duplicates, _kinds, _counts, _shares)


def _are_counts(values: Mapping[str, Value]) -> bool:
    are_integers = all(type(value) is int and 0 <= value < _LARGEST for value in values.values())
    return are_integers and any(values.values())


def _reals(told: Mapping[str, Value], names: Sequence[str]) -> dict[str, float]:
    """The numbers of these names, where there are all of them."""
    found = {name: told[name] for name in names if _is_real(told.get(name))}
    return found if len(found) == len(names) else {}


def _is_real(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1e300
    except ValueError:
        return False
