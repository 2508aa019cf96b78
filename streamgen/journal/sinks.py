"""Sinks: where accepted records go. Each is a projection of the journal, so that it can be cut back and go on."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, Protocol

import msgspec

from streamgen.errors import RecipeError
from streamgen.files import compression_of, zstd_compress
from streamgen.journal.store import Stored
from streamgen.record import META_KEY, Record, decode

_MEMBER_BYTES = 1 << 20  # compressed files grow by members of about this much text


class Sink(Protocol):
    """Takes records in order of acceptance, in a worker thread.

    `position` is whatever lets the sink find its place again (a file's size in bytes); the journal keeps it.
    """

    def open(self, directory: Path, position: int) -> None:
        """Go back to `position` (0 on a fresh run): forget what was written behind it."""
        ...

    def write(self, records: Sequence[Stored]) -> None:
        """Take records; they may stay in memory until `sync`."""
        ...

    def sync(self, is_last: bool) -> int | None:
        """Make what was written durable: the new position, or None where it pays to wait for more."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class JsonlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON Lines file below the run's directory; `.gz` and `.zst` are compressed. `meta` keeps the provenance."""

    path: Annotated[str, msgspec.Meta(min_length=1)] = "records.jsonl"
    meta: bool = True


class JsonlSink:
    """One JSON object a line. Compressed files are a row of complete members, which every reader takes as one file."""

    def __init__(self, settings: JsonlSettings) -> None:
        self.settings = settings
        self._compress = _COMPRESSORS[compression_of(settings.path)]
        self._file: BinaryIO | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def open(self, directory: Path, position: int) -> None:
        """Cut the file back to what the journal knows of."""
        path = inside(directory, self.settings.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(min(position, path.stat().st_size))
        self._file.seek(0, os.SEEK_END)
        if self._file.tell() < position:
            raise RecipeError(f"{path} is shorter than the journal says: remove it, and it is written anew")

    def write(self, records: Sequence[Stored]) -> None:
        """Take the lines as they stand in the journal."""
        lines = [record.body if self.settings.meta else _without_meta(record.body) for record in records]
        self._waiting += lines
        self._waiting_bytes += sum(map(len, lines))

    def sync(self, is_last: bool) -> int | None:
        """Append what waits and force it to disk."""
        assert self._file is not None
        if self._compress is not None and not is_last and self._waiting_bytes < _MEMBER_BYTES:
            return None
        if self._waiting:
            text = b"\n".join(self._waiting) + b"\n"
            self._file.write(self._compress(text) if self._compress else text)
            self._waiting, self._waiting_bytes = [], 0
            self._file.flush()
            os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class ListSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Records kept in memory; from Python, `into` is the list that they are appended to."""

    into: list[Record] = msgspec.field(default_factory=list)


class ListSink:
    """Appends the records to a list: for scripts and tests. A resumed run fills it from the start."""

    def __init__(self, settings: ListSettings) -> None:
        self.records = settings.into
        self._seq = 0

    def open(self, directory: Path, position: int) -> None:
        """Memory does not survive: everything is read again."""

    def write(self, records: Sequence[Stored]) -> None:
        """Decode and append."""
        self.records.extend(decode(record.body) for record in records)

    def sync(self, is_last: bool) -> int | None:
        """Nothing to wait for."""
        return 0

    def close(self) -> None:
        """Nothing to let go of."""


def inside(directory: Path, name: str) -> Path:
    """The path of a file below the directory. Raises RecipeError where it would lie outside."""
    path = (directory / name).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise RecipeError(f"the path {name!r} leads out of the run's directory {directory}; name a file inside it")
    return path


def _without_meta(body: bytes) -> bytes:
    columns = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    columns.pop(META_KEY, None)
    return msgspec.json.encode(columns)


_COMPRESSORS: dict[str, Callable[[bytes], bytes] | None] = {
    "": None,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd_compress,
}
