"""Records as rows of a format: what fits is counted, what does not is an error or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from streamgen.errors import RecipeError
from streamgen.export.turns import Row, Unfit
from streamgen.record import META_KEY, Record, Value, encode

Origin: TypeAlias = Callable[[], Iterable[Record]]
"""Gives the same records each time it is called."""


class Fitting(NamedTuple):
    """A record and its rows."""

    record: Record
    rows: Sequence[Row]


class LeftOut(NamedTuple):
    """How many records did not fit the format, and which was the first, with its columns and the reason."""

    records: int
    first: str


class Rows:
    """A data set's records with their rows; `written` and `left_out` tell of the last pass.

    `to_rows` raises Unfit for what the format cannot hold. Where `skips` is not set, that is an error which names the
    record; it is at the end in any case when nothing fits.
    """

    def __init__(self, origin: Origin, to_rows: Callable[[Record], Sequence[Row]], *, meta: bool, skips: bool) -> None:
        self.written = 0
        self.left_out: LeftOut | None = None
        self._origin, self._to_rows, self._keeps_meta, self._skips = origin, to_rows, meta, skips

    def __iter__(self) -> Iterator[Fitting]:
        self.written, self.left_out = 0, None
        for number, record in enumerate(self._origin(), 1):
            try:
                rows = self._to_rows(record)
            except Unfit as reason:
                self._leave_out(record, number, reason)
                continue
            self.written += 1
            has_meta = self._keeps_meta and record.id
            yield Fitting(record, [{**row, META_KEY: _meta(record)} for row in rows] if has_meta else rows)

    def _leave_out(self, record: Record, number: int, reason: Unfit) -> None:
        has = ", ".join(name if value is not None else f"{name} (null)" for name, value in record.columns.items())
        told = f"record {record.id or number}: {reason}; its columns: {has}"
        if not self._skips:
            raise RecipeError(
                f"{told}. Choose its columns with --prompt-column, --response-column or --text-column, or another "
                "format, or leave out what does not fit with --skip-unfit"
            )
        count, first = self.left_out or (0, told)
        self.left_out = LeftOut(count + 1, first)


def _meta(record: Record) -> Value:
    return msgspec.json.decode(encode(Record(record.id, {}, record.meta)))[META_KEY]
