"""Parquet files: the types of the columns are found in a first pass over the rows, the second one writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from streamgen.errors import MissingExtra, RecipeError
from streamgen.export.turns import Row
from streamgen.record import Value
from streamgen.rows_arrow import JSON_TEXT


class Mixed:
    """Values that no Arrow type holds together: objects with keys of their own, texts beside numbers."""


ArrowType = Any  # pyarrow has no types that mypy can read
Types = dict[str, ArrowType | type[Mixed]]


class Parquet:
    """Row groups as they are written. What has no type of its own (objects, mixed values) is kept as JSON text.

    Such a column says so in the file, so that reading it gives back what was written. Raises MissingExtra without
    pyarrow.
    """

    looks_first = True

    def __init__(self) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise MissingExtra("parquet export", "parquet") from None
        self._types: Types = {}

    def check(self, row: Row) -> None:
        """Every row can be kept."""

    def look(self, rows: Sequence[Row]) -> None:
        """Make the types of the columns hold these rows too."""
        for name in dict.fromkeys(name for row in rows for name in row):
            self._types[name] = _merged(self._types.get(name), _type_of([row.get(name) for row in rows]))

    @contextmanager
    def open(self, path: Path, name: str) -> Iterator[Any]:
        """Each call writes a row group."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([_field(name, type_) for name, type_ in self._types.items()])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            yield lambda rows: writer.write_table(pa.table(self._arrays(rows), schema=schema))

    def _arrays(self, rows: Sequence[Row]) -> list[ArrowType]:
        return [_array(name, [row.get(name) for row in rows], type_) for name, type_ in self._types.items()]


def _type_of(values: Sequence[Value]) -> ArrowType | type[Mixed]:
    import pyarrow as pa

    if any(isinstance(value, dict) for value in values):
        return Mixed
    try:
        found = pa.array(values).type
    except (pa.ArrowException, OverflowError):
        return Mixed
    return found if _is_exact(values, found) else Mixed


def _is_exact(values: Sequence[Value], found: ArrowType) -> bool:
    """Whether reading gives back the values: no object gains keys, no large integer loses its last digits."""
    if "struct" in str(found):
        return _holds_turns(found) or _holds_like_objects(values, found)
    return "double" not in str(found) or _has_small_integers(values)


def _holds_turns(type_: ArrowType) -> bool:
    """Lists of objects with role and content: what else a turn may have is null where it has none, as trainers do."""
    names = _names_inside(type_)
    return {"role", "content"} <= names or {"from", "value"} <= names


def _holds_like_objects(values: Sequence[Value], found: ArrowType) -> bool:
    names = _names_inside(found)
    objects = [inner for value in values if value for inner in value]
    return bool(names) and all(inner is not None and inner.keys() == names for inner in objects)


def _names_inside(type_: ArrowType) -> set[str]:
    """The keys of the objects in a list; none where it is another type, or they hold more than plain values."""
    import pyarrow as pa

    if not (pa.types.is_list(type_) and pa.types.is_struct(type_.value_type)):
        return set()
    fields = list(type_.value_type)
    is_plain = all(str(field.type) in ("string", "int64", "bool", "null") for field in fields)
    return {field.name for field in fields} if is_plain else set()


def _has_small_integers(values: Sequence[Value]) -> bool:
    flat = [inner for value in values for inner in (value if isinstance(value, list) else [value])]
    return all(not isinstance(value, int) or abs(value) < 1 << 53 for value in flat)


def _merged(old: ArrowType | type[Mixed] | None, new: ArrowType | type[Mixed]) -> ArrowType | type[Mixed]:
    import pyarrow as pa

    if old is None or old is Mixed or new is Mixed:
        return Mixed if old is Mixed else new
    if "struct" in f"{old}{new}" and old != new and not (_holds_turns(old) and _holds_turns(new)):
        return Mixed
    try:
        both = [pa.schema([("", old)]), pa.schema([("", new)])]
        return pa.unify_schemas(both, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return Mixed


def _field(name: str, type_: ArrowType | type[Mixed]) -> Any:
    import pyarrow as pa

    return pa.field(name, _final(type_), metadata=JSON_TEXT if type_ is Mixed else None)


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
