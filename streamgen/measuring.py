"""Measures any file of rows, also one that streamgen did not make: which column, which metrics, what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec

from streamgen import registry
from streamgen.decode import check_settings, decode
from streamgen.errors import RecipeError, UnknownName
from streamgen.inspection import reading
from streamgen.journal.store import FILE_NAME
from streamgen.metrics import Accumulator
from streamgen.record import META_KEY, Columns, Meta, Record, Value, size_bytes
from streamgen.record import decode as decode_record
from streamgen.rows import rows_of

PEEKED = 100  # records that tell what there is
_BATCH, _BATCH_BYTES = 256, 1 << 22

# Columns that hold what is measured where nobody says, the likeliest first: answers before what was asked.
_TEXTS = (
    "text", "output", "response", "completion", "answer", "messages", "conversations", "conversation", "chosen",
    "content", "instruction", "prompt", "question", "sentence", "document",
)  # fmt: skip
_LABELS = ("label", "labels", "class", "category", "intent", "topic")
_TURN = ("content", "value", "text")

DEFAULT = (
    "lengths", "duplicates", "distinct_n", "compression", "self_repetition", "self_bleu", "diversity", "readability",
    "pii",
)  # fmt: skip
"""The metrics of any texts: all together take less than 400 us a record of 100 words."""

_OPTIONS = {"column": "--column", "text": "--column", "label": "--label", "reference": "--reference", "test": "--test"}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured; what is not said is chosen by what the file's first records hold.

    Several `columns` are joined to one text. `reference` is what `similarity` and `fluency` compare with, `test` the
    real rows of `tstr`.
    """

    columns: Sequence[str] = ()
    label: str | None = None
    metrics: Sequence[str] = ()
    reference: str | None = None
    reference_column: str | None = None
    test: str | None = None


class Measured(msgspec.Struct, frozen=True):
    """What was measured of a file: how many records, which columns, and each metric's measures."""

    file: str
    records: int
    column: str
    label: str | None
    metrics: Mapping[str, Mapping[str, Value]]


def measure(path: Path, wish: Wish) -> Measured:
    """The measures of a file, a folder of files or a run, read once, in bounded memory.

    Raises RecipeError for what cannot be read (with file and line), holds no text, or lacks a column that is named;
    UnknownName for a metric that there is not.
    """
    records = records_of(path)
    first = list(islice(records, PEEKED))
    if not first:
        raise RecipeError(f"{path} holds no rows: there is nothing to measure")
    columns = wish.columns or [_likely_text(path, first)]
    label = wish.label or next((name for name in _LABELS if _has(first, name)), None)
    for name in filter(None, (*columns, wish.label)):
        _check_column(path, first, name)
    column = " + ".join(columns)
    names = wish.metrics or _likely_metrics(first, label, wish)
    metrics = {name: _metric(name, column, label, wish) for name in names}
    count = 0
    for batch in _batches(_with_text(record, columns, column) for record in chain(first, records)):
        count += len(batch)
        for metric in metrics.values():
            metric.update(batch)
    return Measured(str(path), count, column, label, {name: metric.result() for name, metric in metrics.items()})


def records_of(path: Path) -> Iterator[Record]:
    """The records of a run's directory, or the rows of a file or folder; provenance under `_meta` is understood."""
    if (path / FILE_NAME).is_file():
        with reading(path) as store:
            for page in store.pages():
                yield from (decode_record(stored.body) for stored in page)
    else:
        yield from (_record(row, number) for number, row in enumerate(rows_of(path), 1))


def _record(row: Columns, number: int) -> Record:
    """A row without an id is known by its number."""
    meta = row.pop(META_KEY, None)
    provenance = dict(meta) if isinstance(meta, Mapping) else {}
    id_ = str(provenance.pop("id", "") or row.get("id") or number)
    try:
        return Record(id_, row, msgspec.convert(provenance, Meta))
    except msgspec.ValidationError:  # somebody else's `_meta`
        return Record(id_, row)


def _likely_text(path: Path, records: Sequence[Record]) -> str:
    for name in _TEXTS:
        if any(_as_text(record.get(name)) for record in records):
            return name
    lengths = {name: sum(len(_as_text(record.get(name)) or "") for record in records) for name in _names(records)}
    longest = max(lengths, key=lambda name: lengths[name], default="")
    if not lengths.get(longest):
        raise RecipeError(f"no column of {path} holds texts; there are {', '.join(lengths) or 'none'}: name a --column")
    return longest


def _likely_metrics(records: Sequence[Record], label: str | None, wish: Wish) -> list[str]:
    more = {
        "class_balance": label is not None,
        "scores": any(record.meta.scores for record in records),
        "constraints": any(record.meta.verdicts for record in records),
        "similarity": wish.reference is not None,
        "fluency": wish.reference is not None,
        "tstr": wish.test is not None and label is not None,
    }
    return [*DEFAULT, *(name for name, is_wished in more.items() if is_wished)]


def _metric(name: str, column: str, label: str | None, wish: Wish) -> Accumulator:
    factory = registry.find("metrics", name, "--metrics")
    struct = registry.settings_type(factory)
    if struct is None:
        found: Accumulator = factory()
        return found
    of = label if name == "class_balance" else column
    given = {
        "column": of, "text": column, "label": label, "reference": wish.reference,
        "reference_column": wish.reference_column, "test": wish.test,
    }  # fmt: skip
    settings = _settings(name, struct, given)
    made: Accumulator = factory(settings)
    return made


def _settings(name: str, struct: type[msgspec.Struct], given: Mapping[str, str | None]) -> Any:
    fields = {field.encode_name: field.required for field in msgspec.structs.fields(struct)}
    raw = {field: given[field] for field in fields if given.get(field) is not None}
    for field, is_required in {**fields, **({"column": True} if name == "class_balance" else {})}.items():
        if is_required and field not in raw and field in _OPTIONS:
            option = "--label" if name == "class_balance" else _OPTIONS[field]
            raise RecipeError(f"the metric {name} needs {option}", "--metrics")
    settings = decode(raw, struct, f"--metrics {name}")
    check_settings(settings, f"--metrics {name}")
    return settings


def _with_text(record: Record, columns: Sequence[str], column: str) -> Record:
    """The record with what is measured as one text; conversations are the texts of their turns."""
    values = [record.get(name) for name in columns]
    if len(values) == 1 and isinstance(values[0], str | None):
        return record
    texts = [text for text in map(_as_text, values) if text]
    return (
        record.with_columns({column: "\n".join(texts)}) if any(name in record.columns for name in columns) else record
    )


def _as_text(value: Value) -> str | None:
    """The text of a column, or of a conversation; None of anything else."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    return "\n".join(filter(None, (_as_turn(turn) for turn in value))) or None


def _as_turn(turn: Value) -> str | None:
    if isinstance(turn, Mapping):
        return next((_as_text(turn[key]) for key in _TURN if key in turn), None)
    return turn if isinstance(turn, str) else None


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += size_bytes([record])
        if len(batch) == _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _check_column(path: Path, records: Sequence[Record], name: str) -> None:
    if not _has(records, name):
        raise UnknownName("column", name, _names(records), str(path))


def _has(records: Sequence[Record], name: str) -> bool:
    return any(name in record.columns for record in records)


def _names(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.columns))
