"""New combinations of fields: some columns of a record take the values of another row that is alike in others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.errors import RecipeError
from streamgen.record import Columns, Record, Value
from streamgen.rows import rows_of
from streamgen.settings import FilePath, Settings
from streamgen.text import value_of

_Key = tuple[bytes, ...]
_Pool = Mapping[_Key, tuple[Columns, ...]]


class MixSettings(Settings, frozen=True, kw_only=True):
    """Each of the `columns` takes its value from a row of `rows`, drawn for each column by itself.

    `rows` is a file (JSONL, CSV, Parquet ...), of which the first `most_rows` are kept in memory. Only rows with the
    same values in the columns `same` are drawn from, such as the label, which is right for the mixture then too. With
    `together` all columns take theirs from one row. `n` mixtures are made; with `keep_original` the record goes on too.
    """

    rows: FilePath
    columns: Annotated[tuple[str, ...], Meta(min_length=1)]
    same: tuple[str, ...] = ()
    together: bool = False
    n: Annotated[int, Meta(ge=1, le=50)] = 1
    tries: Annotated[int, Meta(ge=1, le=100)] = 5
    keep_original: bool = False
    most_rows: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000

    def check(self) -> None:
        """Raise ValueError for rows that cannot be read or lack a column, and for columns that are to stay the same."""
        if both := sorted(set(self.columns).intersection(self.same)):
            raise ValueError(f"columns: {both[0]!r} stands in `same` too; a column changes or stays as it is")
        try:
            _pool(self.rows, self.columns, self.same, self.most_rows)
        except RecipeError as error:
            raise ValueError(f"rows: {error}") from None

    def reads(self) -> frozenset[str]:
        """The columns that have to be the same."""
        return frozenset(self.same)

    def writes(self) -> frozenset[str]:
        """The columns that change."""
        return frozenset(self.columns)


def mix(record: Record, context: Context[MixSettings]) -> Result:
    """The record in another mixture, or `n` different ones.

    A drop as `no_such_row` where none has the same values, as `unchanged` where no try gave another mixture.
    """
    settings = context.settings
    key = _key([value_of(record, column, context.stage) for column in settings.same])
    rows = _pool(settings.rows, settings.columns, settings.same, settings.most_rows).get(key, ())
    if not rows:
        return Drop("no_such_row")
    made = [record] if settings.keep_original else []
    seen = {_key([record.get(column) for column in settings.columns])}
    for _ in range(settings.n * settings.tries):
        mixed = _drawn(rows, context)
        if (drawn := _key(list(mixed.values()))) not in seen:
            seen.add(drawn)
            made.append(record.with_columns(mixed))
        if len(seen) > settings.n:
            break
    if not made:
        return Drop("unchanged")
    return made[0] if len(made) == 1 else made


def _drawn(rows: Sequence[Columns], context: Context[MixSettings]) -> Columns:
    settings, rng = context.settings, context.rng
    if settings.together:
        row = rng.choice(rows)
        return {column: row[column] for column in settings.columns}
    return {column: rng.choice(rows)[column] for column in settings.columns}


@lru_cache(maxsize=16)
def _pool(path: str, columns: tuple[str, ...], same: tuple[str, ...], most_rows: int) -> _Pool:
    """The rows by their values in `same`. Raises RecipeError for a file without rows, or a row without a column."""
    pool: dict[_Key, list[Columns]] = {}
    for number, row in enumerate(islice(rows_of(Path(path)), most_rows), 1):
        if missing := [column for column in (*columns, *same) if column not in row]:
            raise RecipeError(f"{path}, row {number}, lacks {missing[0]!r}; it has: {', '.join(sorted(row))}")
        taken = {column: row[column] for column in columns}
        pool.setdefault(_key([row[column] for column in same]), []).append(taken)
    if not pool:
        raise RecipeError(f"{path} holds no rows")
    return {key: tuple(rows) for key, rows in pool.items()}


def _key(values: Sequence[Value]) -> _Key:
    """Values as they can be compared, whatever they are: lists and objects too."""
    return tuple([msgspec.json.encode(value, order="sorted") for value in values])
