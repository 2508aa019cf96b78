"""The record: one row of a data set, with the story of how it came to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

Value: TypeAlias = Any
"""A JSON value: null, a boolean, a number, a string, or a list or object of them."""

Columns: TypeAlias = dict[str, Value]

META_KEY = "_meta"


class Usage(msgspec.Struct, frozen=True):
    """Tokens that were read and written, summed over `calls` responses.

    `cost_usd` is None where no price is known; where it leaves out calls of unknown price, `at_least` is True.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 1
    cost_usd: float | None = None
    at_least: bool | msgspec.UnsetType = msgspec.UNSET  # not written where it does not matter

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        known = self.cost_usd is not None or other.cost_usd is not None
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.calls + other.calls,
            (self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
            True if known and (_lacks(self) or _lacks(other)) else msgspec.UNSET,
        )


def _lacks(usage: Usage) -> bool:
    """Whether there are calls of unknown price in it."""
    return (usage.cost_usd is None and usage.calls > 0) or usage.at_least is True


NO_USAGE = Usage(calls=0)


class Meta(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a record comes from.

    `settings` holds what the trial set, as `stage.setting`; everything else stands in the run's recipe.
    """

    ticket: int = -1
    parents: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    seed: int | None = None
    trial: int | None = None
    settings: Mapping[str, Value] = {}
    models: tuple[str, ...] = ()
    usage: Usage | None = None
    scores: Mapping[str, float] = {}
    verdicts: Mapping[str, str] = {}


class Record(msgspec.Struct, frozen=True):
    """One row. `id` is deterministic: the ticket's number, then the child's index at each fan-out.

    >>> record = Record("7", {"text": "hi"})
    >>> record.with_columns(label="greeting").columns
    {'text': 'hi', 'label': 'greeting'}
    """

    id: str = ""
    columns: Columns = {}
    meta: Meta = Meta()

    def __getitem__(self, column: str) -> Value:
        return self.columns[column]

    def get(self, column: str, default: Value = None) -> Value:
        """The column's value, or `default` where the record has no such column."""
        return self.columns.get(column, default)

    def text(self, column: str) -> str:
        """The column as text: "" where it is missing or null, `str()` of anything that is no string."""
        value = self.columns.get(column)
        if value is None:
            return ""
        return value if isinstance(value, str) else str(value)

    def with_columns(self, columns: Mapping[str, Value] | None = None, /, **more: Value) -> Record:
        """The same record with these columns set; nothing else changes."""
        return Record(self.id, {**self.columns, **(columns or {}), **more}, self.meta)

    def with_meta(self, **fields: Value) -> Record:
        """The same record with these `Meta` fields replaced."""
        return Record(self.id, self.columns, msgspec.structs.replace(self.meta, **fields))

    def scored(self, name: str, score: float) -> Record:
        """The same record with one more score in its provenance."""
        return self.with_meta(scores={**self.meta.scores, name: score})

    def child(self, index: int) -> Record:
        """This record as the `index`-th result of a fan-out."""
        meta = msgspec.structs.replace(self.meta, parents=(self.id,))
        return Record(f"{self.id}.{index}", self.columns, meta)


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode(record: Record) -> bytes:
    """The record as one JSON line without its end: the columns, then `_meta` (with the id in it)."""
    columns = record.columns
    if META_KEY in columns:  # provenance is the run's to tell
        columns = {name: value for name, value in columns.items() if name != META_KEY}
    text, meta = _encode(columns), _encode(record.meta)
    return b'%b%b"_meta":{"id":%b%b%b}' % (
        text[:-1], b"," if columns else b"",
        _encode(record.id), b"," if len(meta) > len(b"{}") else b"", meta[1:],
    )  # fmt: skip


def decode(line: bytes) -> Record:
    """The record that `encode` wrote.

    >>> decode(encode(Record("3", {"a": 1}))) == Record("3", {"a": 1})
    True
    """
    columns = _decoder.decode(line)
    meta = columns.pop(META_KEY, {})
    return Record(meta.pop("id", ""), columns, msgspec.convert(meta, Meta))


def size_bytes(records: Iterable[Record]) -> int:
    """About how much memory the records' columns take: characters of text, and 64 bytes for any other value."""
    return sum(
        200 + sum(len(value) if type(value) is str else 64 for value in record.columns.values()) for record in records
    )
