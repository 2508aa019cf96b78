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
from streamgen.journal.pages import Stored
from streamgen.record import META_KEY, Record, decode

_MEMBER_BYTES = 1 << 20  # compressed files grow by members of about this much text


class Sink(Protocol):
    """Takes records in order of acceptance, in a worker thread.

    `position` is whatever lets the sink find its place again (a file's size in bytes); the journal keeps it.
    """

    def open(self, directory: Path, position: int) -> bool:
        """Go back to `position` (0 on a fresh run): forget what was written behind it.

        False where nothing is left of what was written, so that every record is to be written again.
        """
        ...

    def write(self, records: Sequence[Stored]) -> None:
        """Take records; they may stay in memory until `sync`."""
        ...

    def sync(self, is_last: bool) -> int | None:
        """Make what was written durable: the new position, or None where it pays to wait for more."""
        ...

    def close(self) -> None:
        """Let go of the file; closing twice is fine."""
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

    def open(self, directory: Path, position: int) -> bool:
        """Cut the file back to what the journal knows of. One that was removed is written anew.

        Raises RecipeError for a file that somebody made shorter: what else they changed is not known.
        """
        path = inside(directory, self.settings.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        is_there = path.exists()
        if is_there and path.stat().st_size < position:
            raise RecipeError(
                f"{path} is shorter than this run left it; remove it, and it is written anew from the journal"
            )
        self._file = path.open("r+b" if is_there else "w+b")
        self._file.truncate(position if is_there else 0)
        self._file.seek(0, os.SEEK_END)
        return is_there

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

    def open(self, directory: Path, position: int) -> bool:
        """Memory does not survive: everything is read again."""
        return False

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
    if is_own_file(directory, path):
        raise RecipeError(f"{name!r} is a file of the run itself; give the sink another path")
    if not path.is_relative_to(directory.resolve()):
        raise RecipeError(f"the path {name!r} leads out of the run's directory {directory}; name a file inside it")
    return path


def is_own_file(directory: Path, path: Path) -> bool:
    """Whether the path is one of the journal's files, or the run's lock."""
    path = path.resolve()
    return path.parent == directory.resolve() and path.name.startswith(("run.db", "run.pages", "run.lock"))


def _without_meta(body: bytes) -> bytes:
    columns = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    columns.pop(META_KEY, None)
    return msgspec.json.encode(columns)


_COMPRESSORS: dict[str, Callable[[bytes], bytes] | None] = {
    "": None,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd_compress,
}
