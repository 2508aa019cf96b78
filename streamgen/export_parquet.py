"""Parquet files: the types of the columns are found in a first pass over the rows, the second one writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from streamgen.errors import MissingExtra, RecipeError
from streamgen.export_formats import Row
from streamgen.record import Value

if TYPE_CHECKING:
    from streamgen.export import Rows


class Mixed:
    """Values that no Arrow type holds together: objects with keys of their own, texts beside numbers."""


ArrowType = Any  # pyarrow has no types that mypy can read
Types = dict[str, ArrowType | type[Mixed]]


def write_parquet(rows: Rows, path: Path) -> None:
    """Write the rows in groups, one a page. What has no type of its own (objects, mixed values) is kept as JSON text.

    Raises MissingExtra without pyarrow.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("parquet export", "parquet") from None
    types: Types = {}
    for page in rows.pages():
        _widen(types, page)
    schema = pa.schema([(name, _final(type_)) for name, type_ in types.items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for page in rows.pages():
            columns = [_array(name, [row.get(name) for row in page], types[name]) for name in types]
            writer.write_table(pa.table(columns, schema=schema))


def _widen(types: Types, page: Sequence[Row]) -> None:
    """Make the types of the columns hold this page too."""
    for name in dict.fromkeys(name for row in page for name in row):
        types[name] = _merged(types.get(name), _type_of([row.get(name) for row in page]))


def _type_of(values: Sequence[Value]) -> ArrowType | type[Mixed]:
    import pyarrow as pa

    if any(isinstance(value, dict) for value in values):
        return Mixed
    try:
        found = pa.array(values).type
    except (pa.ArrowException, OverflowError):
        return Mixed
    return Mixed if "struct<>" in str(found) else found  # Parquet knows no object without keys


def _merged(old: ArrowType | type[Mixed] | None, new: ArrowType | type[Mixed]) -> ArrowType | type[Mixed]:
    import pyarrow as pa

    if old is None or old is Mixed or new is Mixed:
        return Mixed if old is Mixed else new
    try:
        both = [pa.schema([("", old)]), pa.schema([("", new)])]
        return pa.unify_schemas(both, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return Mixed


def _final(type_: ArrowType | type[Mixed]) -> ArrowType:
    import pyarrow as pa

    return pa.string() if type_ is Mixed or pa.types.is_null(type_) else type_


def _array(name: str, values: Sequence[Value], type_: ArrowType | type[Mixed]) -> ArrowType:
    import pyarrow as pa

    if type_ is Mixed:
        values = [None if value is None else msgspec.json.encode(value).decode() for value in values]
    try:
        return pa.array(values, _final(type_))
    except pa.ArrowException as error:
        raise RecipeError(f"the column {name!r} fits no Parquet type ({error}); export as jsonl") from None
