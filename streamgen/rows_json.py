"""Rows of JSON files: an object a line, or one array of objects, which is read a piece at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from streamgen.errors import RecipeError
from streamgen.files import lines_of, open_bytes, pieces_of
from streamgen.record import Columns, Value

_MOST_CHARACTERS = 1 << 28  # of one row of an array; what is longer is taken for a bracket that is never closed

_decode_line = msgspec.json.Decoder().decode
_FILLER = re.compile(r"[ \t\r\n,]*")
_KINDS = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


def json_rows(path: Path) -> Iterator[Columns]:
    """The file's rows. Raises RecipeError with the line of one that is no JSON object."""
    return _array_rows(path) if _is_array(path) else _line_rows(path)


def checked(row: Value, where: str) -> Columns:
    """The row where it is an object. Raises RecipeError."""
    if isinstance(row, dict):
        return row
    raise RecipeError(f"{where}: a row is a JSON object, this is {_KINDS.get(type(row), 'a number')}")


def _line_rows(path: Path) -> Iterator[Columns]:
    for number, line in lines_of(path):
        try:
            row = _decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecipeError(f"{path}:{number}: no JSON: {error}") from None
        yield checked(row, f"{path}:{number}")


def _is_array(path: Path) -> bool:
    with open_bytes(path) as file:
        for piece in pieces_of(path, file):
            if text := piece.removeprefix(codecs.BOM_UTF8).lstrip():
                return text.startswith(b"[")
    return False


def _array_rows(path: Path) -> Iterator[Columns]:
    """The elements of the array; what was read of the next one waits until all of it is there."""
    decode = json.JSONDecoder(parse_constant=_refused).raw_decode
    pieces = _text_of(path)
    text = next(pieces, "")
    while "[" not in text:
        text += next(pieces)
    at = text.index("[") + 1
    line = 1 + text.count("\n", 0, at)
    while True:
        begin = _next(text, at)
        try:
            if text[begin : begin + 1] == "]":
                return
            row, end = decode(text, begin)
        except (ValueError, RecursionError) as error:
            more = "".join(_at_least(pieces, len(text) - at))
            if not more or len(text) - at > _MOST_CHARACTERS:
                raise RecipeError(f"{path}:{line + text.count(chr(10), at, begin)}: no JSON: {error}") from None
            text, at = text[at:] + more, 0
            continue
        line += text.count("\n", at, begin)
        yield checked(row, f"{path}:{line}")
        line += text.count("\n", begin, end)
        at = end


def _next(text: str, at: int) -> int:
    found = _FILLER.match(text, at)
    return found.end() if found else at


def _text_of(path: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    with open_bytes(path) as file:
        try:
            for piece in pieces_of(path, file):
                yield decoder.decode(piece)
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path} is no UTF-8 text: {error}; write it anew as UTF-8") from None


def _at_least(pieces: Iterator[str], size: int) -> Iterator[str]:
    """As much more as there was, so that a long row is looked at a few times only."""
    taken = 0
    for piece in pieces:
        yield piece
        taken += len(piece)
        if taken >= size:
            return


def _refused(name: str) -> Value:
    raise ValueError(f"{name} is no JSON number")
