"""Sources: where a run's first columns come from, one row a ticket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from streamgen.files import lines_of
from streamgen.record import META_KEY, Columns


class BadRow(NamedTuple):
    """A row that cannot be read: where it stands, what is wrong, and how it begins."""

    where: str
    error: str
    text: str


Row: TypeAlias = Columns | BadRow


class JsonlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON Lines file, plain, `.gz` or `.zst`. `repeat` begins again at its end."""

    path: Annotated[str, msgspec.Meta(min_length=1)]
    repeat: bool = False


def jsonl(settings: JsonlSettings) -> Iterator[Row]:
    """The file's rows in order; a line that is no JSON object is a BadRow, and the rest goes on.

    Provenance (`_meta`) of a file that a run wrote is left behind.
    """
    path = Path(settings.path)
    while True:
        found = False
        for number, line in lines_of(path):
            found = True
            yield _row(f"{path.name}:{number}", line)
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


def _shown(line: bytes) -> str:
    return line[:200].decode("utf-8", "replace")


def _kind(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
