"""Brings a data file of any known format into another one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from streamgen.export.card import card_of_file
from streamgen.export.deliver import Written, deliver
from streamgen.export.formats import Read, format_named, recognised
from streamgen.export.turns import Unfit
from streamgen.export.wish import Wish
from streamgen.record import META_KEY, Columns, Meta, Record, Value
from streamgen.rows import files_of, kind_of, reader_of
from streamgen.rows_text import text_rows

_decode = msgspec.json.Decoder().decode


def convert(source: Path, out: Path, wish: Wish, from_: str | None = None) -> Written:
    """Write the rows of a file or folder to `out`, in the format of the wish.

    `from_` is the format that the rows are of; where it is not told, the first row tells. `_meta` comes along where
    the wish keeps it. Raises as `export` does, and RecipeError where the file cannot be read.
    """
    source, out = Path(source), Path(out)
    name = from_ or format_of(source, wish.separator)
    format_ = format_named(name)
    return deliver(
        lambda: _records(source, wish.separator, format_.json_columns), out, wish,
        lambda written: card_of_file(source, wish, wish.known_format, written),
        format_.read if from_ else _guessed(name, format_.read),
    )  # fmt: skip


def format_of(source: Path, separator: str = "\n") -> str:
    """The name of the format that a file's rows are of, by its first row; "jsonl" where they are of no other."""
    first = next(islice((row for row, _ in _rows(source, separator)), 1), {})
    return recognised(first) if first else "jsonl"


def _guessed(name: str, read: Read) -> Read:
    """The same, but where it cannot read it says that the format was a guess."""

    def guessed(columns: Columns) -> Columns:
        try:
            return read(columns)
        except Unfit as reason:
            raise Unfit(f"{reason} (the rows were taken for {name} by the first one; --from tells otherwise)") from None

    return guessed


def _rows(source: Path, separator: str) -> Iterator[tuple[Columns, bool]]:
    """Rows, and whether all their values are texts."""
    for file in files_of(source):
        ending = kind_of(file.path.name)
        is_text = ending == ".txt" and separator != "\n"
        rows = text_rows(file.path, separator) if is_text else reader_of(file.path)(file.path)
        for row in rows:
            yield row, ending in (".csv", ".tsv")


def _records(source: Path, separator: str, json_columns: frozenset[str]) -> Iterator[Record]:
    for row, is_text in _rows(source, separator):
        columns = _with_values(row, json_columns) if is_text else row
        yield _record(columns)


def _with_values(row: Columns, json_columns: frozenset[str]) -> Columns:
    """A row of CSV with what it keeps as JSON as the values that were meant; nothing stands for no column."""
    meant = {*json_columns, META_KEY}
    return {name: _value(cell) if name in meant else cell for name, cell in row.items() if cell or name not in meant}


def _value(cell: str) -> Value:
    """What the JSON in a cell means; pandas writes `True` and `False`."""
    try:
        return _decode(cell.lower() if cell in ("True", "False") else cell)
    except msgspec.DecodeError:
        return cell


def _record(columns: Columns) -> Record:
    """The row as a record; what stands in `_meta` is its provenance where it is of our form."""
    meta = columns.pop(META_KEY, None)
    if not isinstance(meta, dict):
        return Record("", columns)
    fields = {name: value for name, value in meta.items() if value is not None}
    try:
        return Record(str(fields.pop("id", "")), columns, msgspec.convert(fields, Meta))
    except msgspec.ValidationError:
        return Record("", columns)
