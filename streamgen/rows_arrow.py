"""Rows of Parquet files, and of the Arrow files that `datasets` saves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from streamgen.errors import MissingExtra, RecipeError
from streamgen.record import Columns

JSON_TEXT = {b"streamgen": b"json"}
"""What stands beside a column of ours whose values are JSON text, because no Arrow type holds them together."""

_BATCH = 1024  # rows

_decode = msgspec.json.Decoder().decode


def parquet_rows(path: Path) -> Iterator[Columns]:
    """The file's rows; objects and mixed values that streamgen wrote as JSON text are what they were.

    Raises RecipeError where it is no Parquet file, MissingExtra without pyarrow.
    """
    return _rows(path, "Parquet", _parquet_batches)


def arrow_rows(path: Path) -> Iterator[Columns]:
    """The rows of an Arrow file or stream, as `datasets` saves them. Raises as `parquet_rows` does."""
    return _rows(path, "Arrow", _arrow_batches)


def _rows(path: Path, kind: str, batches: Any) -> Iterator[Columns]:
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtra(f"reading {path.name}", "parquet") from None
    try:
        for batch in batches(path):
            yield from _plain(batch)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read {path} as {kind}: {error}") from None


def _parquet_batches(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=_BATCH)


def _arrow_batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        try:
            stream = pa.ipc.open_stream(file)
        except pa.ArrowInvalid:
            reader = pa.ipc.open_file(file)
            stream = (reader.get_batch(n) for n in range(reader.num_record_batches))
        for batch in stream:
            yield from (batch.slice(begin, _BATCH) for begin in range(0, batch.num_rows, _BATCH))


def _plain(batch: Any) -> list[Columns]:
    rows: list[Columns] = batch.to_pylist()
    ours = [field.name for field in batch.schema if (field.metadata or {}).items() >= JSON_TEXT.items()]
    for row in rows:
        row.update((name, _decode(row[name])) for name in ours if row[name] is not None)
    return rows
