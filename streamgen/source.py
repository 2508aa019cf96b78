"""Sources: where a run's first columns come from, one row a ticket."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from streamgen.files import content_of, open_bytes, raw_lines
from streamgen.record import META_KEY, Columns, Value
from streamgen.settings import FilePath

_SHOWN = 200  # characters of a bad row that are kept
_LOOKED_AT = 1000

_decode = msgspec.json.Decoder().decode


class BadRow(NamedTuple):
    """A row that cannot be read: where it stands, what is wrong, and how it begins."""

    where: str
    error: str
    text: str


Row: TypeAlias = Columns | BadRow


class Place(NamedTuple):
    """Where a source's row stands: its number from 0, and whatever the source finds it by."""

    row: int
    at: Value


@runtime_checkable
class Seekable(Protocol):
    """A source that passes over rows without making them, and finds one again that it has been at."""

    def skip(self, rows: int) -> None:
        """Pass over so many rows, or all that there are."""
        ...

    def place(self) -> Value:
        """What a later process finds the next row by; a JSON value."""
        ...

    def find(self, place: Value) -> bool:
        """Make the row at this place the next one, before any was taken; False where that is not possible."""
        ...


class JsonlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON Lines file, plain, `.gz` or `.zst`. `repeat` begins again at its end, where any row of it can be read."""

    path: FilePath
    repeat: bool = False


class JsonlRows:
    """The file's rows in order; a line that is no JSON object is a BadRow, and the rest goes on.

    Provenance (`_meta`) of a file that a run wrote is left behind.
    """

    def __init__(self, settings: JsonlSettings) -> None:
        self._path, self._is_repeated = Path(settings.path), settings.repeat
        self._offset = self._number = 0  # behind the last line that was read
        self._has_rows = False
        self._file: IO[bytes] | None = None  # opened, and at its place
        self._lines = self._read()

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = _row(self._path.name, next(self._lines), self._number)
        self._has_rows = self._has_rows or not isinstance(row, BadRow)
        return row

    def skip(self, rows: int) -> None:
        """Pass over rows without looking at them; the first thousand tell whether it is a file of rows at all."""
        looked_at = min(rows, _LOOKED_AT)
        deque(islice(self, looked_at), 0)
        deque(islice(self._lines, rows - looked_at), 0)

    def place(self) -> Value:
        """Where the next row stands."""
        return [self._offset, self._number]

    def find(self, place: Value) -> bool:
        """Go there, before the first row is read; False where the file is no longer what it was."""
        offset, number = place
        file = open_bytes(self._path)
        file.seek(max(0, offset - 1))
        if offset and file.read(1) != b"\n":
            file.close()
            return False
        self._file, self._offset, self._number, self._has_rows = file, offset, number, True
        return True

    def _read(self) -> Iterator[bytes]:
        while True:
            with self._file or open_bytes(self._path) as file:
                self._file = None
                for line in raw_lines(self._path, file, self._number):
                    self._offset += len(line)
                    self._number += 1
                    if content := content_of(line, self._number):
                        yield content
            if not self._is_repeated or not self._has_rows:
                return
            self._offset = self._number = 0


class ListSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows given in the recipe, or from Python. `repeat` begins again at their end."""

    rows: Sequence[Columns]
    repeat: bool = False


def from_list(settings: ListSettings) -> Iterator[Row]:
    """The rows in order."""
    yield from settings.rows
    while settings.repeat and settings.rows:
        yield from settings.rows


class Rows:
    """The rows of any source, from any of them on; what is no mapping of columns is a BadRow."""

    def __init__(self, source: Iterable[object]) -> None:
        self.taken = 0  # rows that were given or passed over
        self._source = source if isinstance(source, Seekable) else None
        self._rows = iter(source)

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = next(self._rows)
        self.taken += 1
        return row if isinstance(row, dict | BadRow) else _checked(row, self.taken)

    def begin(self, row: int, place: Place | None) -> None:
        """Go to the row, from a place that an earlier session noted, where the source can do it in any thread."""
        if self._source is not None:
            if place is not None and self._source.find(place.at):
                self.taken = place.row
            self.skip_to(row)

    def skip_to(self, row: int) -> None:
        """Pass over all rows before this one."""
        if self._source is not None:
            self._source.skip(row - self.taken)
        else:
            deque(islice(self._rows, row - self.taken), 0)
        self.taken = row

    def place(self) -> Place | None:
        """Where the next row stands; None where the source cannot tell."""
        return None if self._source is None else Place(self.taken, self._source.place())


def _checked(row: object, number: int) -> Row:
    if isinstance(row, Mapping):
        return dict(row)
    what = f"a mapping of columns is needed, this is {type(row).__name__}"
    return BadRow(f"row {number}", what, repr(row)[:_SHOWN])


def _row(name: str, line: bytes, number: int) -> Row:
    try:
        row = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return BadRow(f"{name}:{number}", f"no JSON: {error}", _shown(line))
    if not isinstance(row, dict):
        return BadRow(f"{name}:{number}", f"a JSON object is needed, this is {_kind(row)}", _shown(line))
    row.pop(META_KEY, None)
    return row


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode("utf-8", "replace")


def _kind(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
