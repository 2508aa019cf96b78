"""Sources: where a run's first columns come from, one row a ticket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from streamgen.files import lines_of
from streamgen.record import META_KEY, Columns
from streamgen.settings import FilePath

_SHOWN = 200  # characters of a bad row that are kept


class BadRow(NamedTuple):
    """A row that cannot be read: where it stands, what is wrong, and how it begins."""

    where: str
    error: str
    text: str


Row: TypeAlias = Columns | BadRow


class JsonlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON Lines file, plain, `.gz` or `.zst`. `repeat` begins again at its end, where any row of it can be read."""

    path: FilePath
    repeat: bool = False


def jsonl(settings: JsonlSettings) -> Iterator[Row]:
    """The file's rows in order; a line that is no JSON object is a BadRow, and the rest goes on.

    Provenance (`_meta`) of a file that a run wrote is left behind.
    """
    path = Path(settings.path)
    while True:
        found = False
        for number, line in lines_of(path):
            row = _row(f"{path.name}:{number}", line)
            found = found or not isinstance(row, BadRow)
            yield row
        if not settings.repeat or not found:
            return


class ListSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows given in the recipe, or from Python. `repeat` begins again at their end."""

    rows: Sequence[Columns]
    repeat: bool = False


def from_list(settings: ListSettings) -> Iterator[Row]:
    """The rows in order."""
    yield from settings.rows
    while settings.repeat and settings.rows:
        yield from settings.rows


def _row(where: str, line: bytes) -> Row:
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return BadRow(where, f"no JSON: {error}", _shown(line))
    if not isinstance(row, dict):
        return BadRow(where, f"a JSON object is needed, this is {_kind(row)}", _shown(line))
    row.pop(META_KEY, None)
    return row


def checked(rows: Iterator[object]) -> Iterator[Row]:
    """The rows of any source; what is no mapping of columns is a BadRow."""
    for number, row in enumerate(rows, 1):
        if isinstance(row, dict | BadRow):
            yield row
        elif isinstance(row, Mapping):
            yield dict(row)
        else:
            what = f"a mapping of columns is needed, this is {type(row).__name__}"
            yield BadRow(f"row {number}", what, repr(row)[:_SHOWN])


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode("utf-8", "replace")


def _kind(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
