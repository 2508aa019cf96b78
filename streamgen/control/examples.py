"""Labelled texts: read from files with line numbers, taken out of records, and kept apart from the final test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from streamgen.errors import RecipeError, suggestion
from streamgen.record import Record, Value

_SHOWN = 5  # shared rows that a message names


class Example(NamedTuple):
    """A labelled text."""

    text: str
    label: str


class Row(NamedTuple):
    """Columns of a file's line, and its number."""

    line: int
    values: tuple[str, ...]


def read_examples(path: Path, text: str, label: str, where: str) -> Iterator[Example]:
    """The labelled texts of a JSONL file. Raises RecipeError, naming file and line, for what is none."""
    return (Example(*row.values) for row in read_rows(path, (text, label), where))


def read_rows(path: Path, columns: Sequence[str], where: str) -> Iterator[Row]:
    """These columns of a JSONL file, as text. Raises RecipeError, naming file and line, for a row without them."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror}", where) from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield Row(number, _values(line, columns, f"{path}, line {number}", where))


def examples_of(records: Iterable[Record], text: str, label: str) -> list[Example]:
    """The records' labelled texts; a record without a text or label has none."""
    examples = (Example(record.text(text), record.text(label)) for record in records)
    return [example for example in examples if example.text.strip() and example.label]


def check_classes(examples: Sequence[Example], name: str, where: str) -> None:
    """Raise RecipeError where there are not two classes to tell apart."""
    classes = {example.label for example in examples}
    if len(classes) < 2:
        held = f"only the class {classes.pop()!r}" if classes else "no rows"
        raise RecipeError(f"{name} holds {held}: a classifier needs two classes to tell apart", where)


def check_apart(path: Path, other: Path, column: str, where: str, why: str) -> None:
    """Raise RecipeError, with the lines' numbers, where two files share a text; case and spaces do not count."""
    there = _lines_by_text(other, column, where)
    here = _lines_by_text(path, column, where)
    shared = [(lines[0], there[text][0]) for text, lines in here.items() if text in there]
    if shared:
        pairs = ", ".join(f"line {one} (line {two} there)" for one, two in sorted(shared)[:_SHOWN])
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        raise RecipeError(f"{path} shares {len(shared)} of its texts with {other}: {pairs}{more}; {why}", where)


def _lines_by_text(path: Path, column: str, where: str) -> Mapping[str, list[int]]:
    lines: dict[str, list[int]] = {}
    for row in read_rows(path, (column,), where):
        lines.setdefault(" ".join(row.values[0].casefold().split()), []).append(row.line)
    return lines


def _values(line: bytes, columns: Sequence[str], place: str, where: str) -> tuple[str, ...]:
    try:
        row = msgspec.json.decode(line, type=dict[str, Value])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{place}: no JSON object: {error}", where) from None
    for column in columns:
        if row.get(column) is None:
            raise RecipeError(f"{place}: no column {column!r}{suggestion(column, row)}", where)
    return tuple(str(row[column]) for column in columns)
