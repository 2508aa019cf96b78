"""The texts of a file that others are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from streamgen.errors import RecipeError, suggestion
from streamgen.record import Record
from streamgen.rows import rows_of


def reference_texts(path: str, column: str, most: int) -> list[str]:
    """The first `most` texts of a column of a file of rows; those without a word in them do not count.

    Raises RecipeError for a file that cannot be read or has no such text.
    """
    texts = list(islice(_texts(Path(path), column), most))
    if not texts:
        columns = next((set(row) for row in rows_of(Path(path))), set())
        raise RecipeError(f"{path} has no text in the column {column!r}{suggestion(column, columns)}")
    return texts


def _texts(path: Path, column: str) -> Iterator[str]:
    for row in rows_of(path):
        if (text := Record(columns=row).text(column)).strip():
            yield text
