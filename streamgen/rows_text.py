"""Rows of CSV and of plain text files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TypeVar

from streamgen.errors import RecipeError
from streamgen.files import damage_of, open_bytes
from streamgen.record import Columns

T = TypeVar("T")

_LONGEST_CELL = 1 << 28  # characters; what is longer is taken for a quote that is never closed


def text_rows(path: Path, separator: str = "\n") -> Iterator[Columns]:
    """A row with `text` for whatever stands between two separators and is not blank, just as it stands there."""
    texts = _lines(path) if separator == "\n" else _between(path, separator)
    return ({"text": text} for text in texts if text.strip())


def _lines(path: Path) -> Iterator[str]:
    with _opened(path, "\n") as file:
        for line in _read_on(path, file, lambda: 0):
            yield line.removesuffix("\n").removesuffix("\r")


def _between(path: Path, separator: str) -> Iterator[str]:
    rest = ""
    with _opened(path, "\n") as file:
        for piece in _read_on(path, iter(partial(file.read, 1 << 20), ""), lambda: 0):
            *whole, rest = (rest + piece).split(separator)
            if len(rest) > _LONGEST_CELL:
                raise RecipeError(f"{path}: no {separator!r} within {_LONGEST_CELL} characters; is it the separator?")
            yield from whole
    yield rest.removesuffix("\n")  # the end of the file's last line


def _separated(path: Path, delimiter: str) -> Iterator[Columns]:
    """A row a line of cells, by the names in the first one; every cell is text. Raises RecipeError with the line."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))  # the whole process's; it is never made smaller
    with _opened(path, "") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        lines = _read_on(path, reader, lambda: reader.line_num)
        header: Sequence[str] = next(lines, [])
        _check_header(path, header)
        for cells in lines:
            if len(cells) == len(header):
                yield dict(zip(header, cells, strict=True))
            elif cells:
                raise RecipeError(
                    f"{path}:{reader.line_num}: {len(cells)} cells where the first line names {len(header)} columns"
                )


comma_rows: Callable[[Path], Iterator[Columns]] = partial(_separated, delimiter=",")
tab_rows: Callable[[Path], Iterator[Columns]] = partial(_separated, delimiter="\t")


def _check_header(path: Path, header: Sequence[str]) -> None:
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise RecipeError(f"{path}:1: the column {twice!r} is named twice; give each a name of its own")


def _opened(path: Path, newline: str) -> TextIOWrapper:
    return TextIOWrapper(open_bytes(path), "utf-8-sig", newline=newline)


def _read_on(path: Path, items: Iterable[T], line: Callable[[], int]) -> Iterator[T]:
    """The items, with the errors of reading told by file and line."""
    try:
        yield from items
    except (csv.Error, UnicodeDecodeError) as error:
        where = f":{line()}" if line() else ""
        raise RecipeError(f"{path}{where}: {error}; a UTF-8 text file is needed") from None
    except damage_of(path) as error:
        raise RecipeError(f"{path} is damaged: {error}; make it anew") from error
