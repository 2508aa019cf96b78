"""The command `measure`: files side by side, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamgen.errors import UnknownName
from streamgen.inspection_view import plain
from streamgen.measuring import Measured, Wish, measure
from streamgen.record import Value
from streamgen.registry import names
from streamgen.report.text import number

_ROWS = 24  # of one object within a metric
_LIST = 12
_CELL = 60  # characters
_QUANTILES = "  p5, p50, p95"


def measure_files(files: Sequence[Path], wish: Wish, *, as_json: bool) -> None:
    """Print the measures of each file. Raises RecipeError for a file or a wish that is of no use."""
    for name in wish.metrics:
        if name not in (known := names("metrics")):
            raise UnknownName("metric", name, known, "--metrics")
    measured = [_measured(path, wish, as_json) for path in files]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({one.file: one for one in measured})).decode())
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=60 + _CELL * len(files))
    console.print(table(measured))


def _measured(path: Path, wish: Wish, as_json: bool) -> Measured:
    console = Console(stderr=True)
    if as_json or not console.is_terminal:
        return measure(path, wish)
    with console.status(f"measuring {path}"):
        return measure(path, wish)


def table(measured: Sequence[Measured]) -> Table:
    """A column for each file, a row for each measure, headed by the metric's name."""
    rows = Table(box=None, header_style="dim", pad_edge=False)
    rows.add_column("measure", overflow="fold")
    for one in measured:
        rows.add_column(plain(one.file, 200), justify="right", overflow="fold")
    _add(rows, "records", [f"{one.records:,}" for one in measured])
    _add(rows, "column", [one.column for one in measured])
    if any(one.label for one in measured):
        _add(rows, "label", [one.label or "-" for one in measured])
    for metric in dict.fromkeys(name for one in measured for name in one.metrics):
        cells = [dict(cells_of(one.metrics.get(metric, {}))) for one in measured]
        rows.add_row(Text(f"\n{metric}", "bold"))
        for name in dict.fromkeys(name for found in cells for name in found):
            shown = f"  {_QUANTILES}" if name.endswith(_QUANTILES) else f"  {name}"
            _add(rows, shown, [found.get(name, "-") for found in cells])
    return rows


def cells_of(value: Value, name: str = "") -> Iterator[tuple[str, str]]:
    """The measures of a result, whatever its shape, each with its place in it and as text for people.

    >>> dict(cells_of({"a": {"b": 0.12345, "c": None}, "d": [1, 2]}))
    {'a.b': '0.1235', 'a.c': '-', 'd': '1, 2'}
    """
    if isinstance(value, Mapping):
        if {"mean", "p50", "p5", "p95"} <= value.keys():
            yield from _spread(value, name)
            value = {key: value[key] for key in value if key not in _OF_SPREAD}
        yield from _inside(value, name)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value):
        yield from _inside({str(n): item for n, item in enumerate(value, 1)}, name)
    else:
        yield name, _shown(value)


_OF_SPREAD = {"count", "mean", "sd", "min", "max", "p5", "p25", "p50", "p75", "p95", "histogram"}


def _inside(items: Mapping[str, Value], name: str) -> Iterator[tuple[str, str]]:
    for place, (key, item) in enumerate(items.items()):
        if place == _ROWS:
            yield f"{name}...", f"{len(items) - _ROWS:,} more with --json"
            return
        yield from cells_of(item, f"{name}.{key}" if name else str(key))


def _spread(value: Mapping[str, Value], name: str) -> Iterator[tuple[str, str]]:
    """The mean, and beneath it where the middle nine tenths lie, with the median."""
    yield name, number(value["mean"])
    if value["mean"] is not None:
        quantiles = (number(value[quantile]) for quantile in ("p5", "p50", "p95"))
        yield f"{name}{_QUANTILES}", ", ".join(quantiles)


def _shown(value: Value) -> str:
    if isinstance(value, list | tuple):
        more = [f"... {len(value) - _LIST} more"] if len(value) > _LIST else []
        return ", ".join([*map(_shown, value[:_LIST]), *more]) or "-"
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return number(value)
    return str(value)


def _add(rows: Table, name: str, cells: Sequence[str]) -> None:
    rows.add_row(plain(name, 80), *(plain(cell, 200) for cell in cells))
