"""Seed examples by class, read once from a JSONL file."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from streamgen.errors import RecipeError

_decoder = msgspec.json.Decoder(dict[str, Any])
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-]+")


@lru_cache(maxsize=32)
def seeds_by_class(path: str, text: str, label: str) -> dict[str, tuple[str, ...]]:
    """The file's texts under their labels, both in file order. Raises RecipeError, naming the line."""
    classes: dict[str, list[str]] = {}
    for number, line in enumerate(seed_lines(path), 1):
        if line.strip():
            row = _row(line, text, label, f"{path}, line {number}")
            classes.setdefault(str(row[label]), []).append(str(row[text]).strip())
    if not classes:
        raise RecipeError(f"{path} holds no seeds: give at least one JSON line with {text!r} and {label!r}")
    return {name: tuple(texts) for name, texts in classes.items()}


def seed_lines(path: str) -> list[bytes]:
    """The lines of a file of seeds. Raises RecipeError where it cannot be read."""
    try:
        return Path(path).read_bytes().splitlines()
    except OSError as error:
        raise RecipeError(f"the seeds {path} cannot be read: {error.strerror}") from error


def _row(line: bytes, text: str, label: str, where: str) -> dict[str, Any]:
    try:
        row = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise RecipeError(f"{where} is not a JSON object: {error}") from error
    if missing := [column for column in (text, label) if not str(row.get(column) or "").strip()]:
        raise RecipeError(f"{where} lacks {missing[0]!r}; every seed needs {text!r} and {label!r}")
    return row


def in_words(label: str) -> str:
    """A label as a person would say it.

    >>> in_words("AddToPlaylist"), in_words("rate_book"), in_words("FAQ")
    ('add to playlist', 'rate book', 'FAQ')
    """
    words = _WORD_BORDER.sub(" ", label).split()
    return " ".join(word if word.isupper() else word.lower() for word in words)
