"""Writes a run's accepted records in a format that trainers read, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from streamgen.errors import RecipeError, UnknownName
from streamgen.export_formats import FORMATS, Chosen, Row, Unfit
from streamgen.files import compression_of, replacing, zstd_compress
from streamgen.inspection import reading
from streamgen.journal.pages import Stored
from streamgen.journal.sinks import is_own_file
from streamgen.journal.store import Store
from streamgen.record import META_KEY, Record

_PAGE_ROWS = 8192
_PAGE_BYTES = 16 << 20

_encode_line = msgspec.json.Encoder().encode


class LeftOut(NamedTuple):
    """How many records did not fit the format, and which was the first, with its columns and the reason."""

    records: int
    first: str


class Rows:
    """A run's records as rows of a format, a page at a time; `written` and `left_out` tell of the last pass."""

    def __init__(self, store: Store, format_: str, chosen: Chosen, meta: bool) -> None:
        self.written = 0
        self.left_out: LeftOut | None = None
        self._store, self._chosen, self._keeps_meta = store, chosen, meta
        self._format = FORMATS[format_]
        self._last = store.last_seq  # a run that goes on is taken as it stands now

    def pages(self) -> Iterator[list[Row]]:
        """All rows, a few thousand at a time."""
        self.written, self.left_out = 0, None
        page: list[Row] = []
        size = 0
        for stored in self._stored():
            if (row := self._row(stored.body)) is not None:
                page.append(row)
                size += len(stored.body)
            if len(page) >= _PAGE_ROWS or size >= _PAGE_BYTES:
                yield page
                page, size = [], 0
        if page:
            yield page

    def _stored(self) -> Iterator[Stored]:
        for page in self._store.pages():
            yield from (stored for stored in page if stored.seq <= self._last)
            if page[-1].seq >= self._last:
                return

    def _row(self, body: bytes) -> Row | None:
        columns: Row = msgspec.json.decode(body)
        meta = columns.pop(META_KEY, {})
        record = Record(meta.get("id", ""), columns)
        try:
            row = self._format(record, self._chosen)
        except Unfit as reason:
            has = ", ".join(name if value is not None else f"{name} (null)" for name, value in columns.items())
            count, first = self.left_out or (0, f"record {record.id}: {reason}; its columns: {has}")
            self.left_out = LeftOut(count + 1, first)
            return None
        self.written += 1
        return {**row, META_KEY: meta} if self._keeps_meta else row


def export(
    directory: Path,
    format_: str,
    out: Path,
    *,
    meta: bool = False,
    prompt_column: str | None = None,
    response_column: str | None = None,
    overwrite: bool = False,
    on_left_out: Callable[[LeftOut], None] | None = None,
) -> int:
    """How many records of the run were written to `out`.

    `format_` is a name in FORMATS. The name of `out` says how rows are kept: `.gz` and `.zst` compress lines,
    `.parquet` is a Parquet file. `meta` keeps the provenance under `_meta`. The columns of question and answer are
    found by their usual names unless they are given. Records that do not fit are left out and told to `on_left_out`.

    Raises RecipeError where no record fits, where `out` exists and is not to be overwritten, or cannot be written.
    """
    if format_ not in FORMATS:
        raise UnknownName("format", format_, FORMATS)
    directory, out = Path(directory), Path(out)
    with reading(directory) as store:
        _check_out(directory, out, store, overwrite)
        rows = Rows(store, format_, Chosen(prompt_column, response_column), meta)
        with replacing(out) as partial:
            _writer(format_, out)(rows, partial)
            _check_any(rows, format_)
    if rows.left_out and on_left_out:
        on_left_out(rows.left_out)
    return rows.written


def _writer(format_: str, out: Path) -> Callable[[Rows, Path], None]:
    if format_ == "parquet" or out.suffix.lower() == ".parquet":
        from streamgen.export_parquet import write_parquet

        return write_parquet
    compress = _COMPRESSORS[compression_of(out.name)]
    return lambda rows, path: _write_lines(rows, path, compress)


def _write_lines(rows: Rows, path: Path, compress: Callable[[bytes], bytes]) -> None:
    """A JSON object a line; compressed files are a row of complete members, which every reader takes as one file."""
    with path.open("wb") as file:
        for page in rows.pages():
            file.write(compress(b"".join(_encode_line(row) + b"\n" for row in page)))


def _gzip(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)


_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": _gzip, "zstd": zstd_compress}


def _check_out(directory: Path, out: Path, store: Store, overwrite: bool) -> None:
    if out.is_dir():
        raise RecipeError(f"{out} is a directory; name a file to write")
    sinks = {(directory / str(name)).resolve() for (name,) in store.read("SELECT name FROM sinks")}
    if out.resolve() in sinks or is_own_file(directory, out):
        raise RecipeError(f"{out} belongs to the run itself; choose another name")
    if out.exists() and not overwrite:
        raise RecipeError(f"{out} exists; choose another name, or overwrite it with --overwrite")


def _check_any(rows: Rows, format_: str) -> None:
    if rows.left_out and not rows.written:
        raise RecipeError(
            f"none of the {rows.left_out.records} records fits the format {format_}. {rows.left_out.first}. "
            "Name the columns with --prompt-column and --response-column, or export as jsonl"
        )
