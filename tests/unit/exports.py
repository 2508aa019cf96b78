"""Runs with given records, and their exports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamgen.export.deliver import Written
from streamgen.export.from_run import export
from streamgen.export.turns import Chosen
from streamgen.export.wish import Wish
from streamgen.export.write import Order
from streamgen.files import lines_of
from streamgen.journal.store import FILE_NAME, Store
from streamgen.record import Meta, Record, encode


def directory_with(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A run's directory with these accepted records, each of a ticket of its own."""
    return run_with(path, [Record(str(n), dict(row), Meta(ticket=n)) for n, row in enumerate(rows)])


def run_with(path: Path, records: Sequence[Record]) -> Path:
    """A run's directory with these accepted records."""
    path.mkdir()
    store = Store(path / FILE_NAME)
    store.commit({"records": [(n, n, record.id, encode(record)) for n, record in enumerate(records, 1)]})
    store.close()
    return path


def wish(format_: str, **options: Any) -> Wish:
    """The options of `Wish` and `Order` by name; columns that are chosen as `prompt`, `response`, `text`."""
    chosen = Chosen(**{name: options.pop(name) for name in ("prompt", "response", "text") if name in options})
    order = Order(**{name: options.pop(name) for name in Order.__struct_fields__ if name in options})
    return Wish(format=format_, chosen=chosen, order=order, **options)


def written(directory: Path, out: Path, format_: str = "jsonl", **options: Any) -> Written:
    """Export as `wish` takes the options."""
    return export(directory, out, wish(format_, **options))


def exported(directory: Path, format_: str, name: str = "out.jsonl", **options: Any) -> list[dict[str, Any]]:
    """The rows that were exported into JSON lines."""
    count = written(directory, directory / name, format_, **options).records
    rows = [json.loads(line) for _, line in lines_of(directory / name)]
    assert len(rows) == count
    return rows
