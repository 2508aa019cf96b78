"""Lines and paragraphs of a text, and how much of it stands in lines that it has already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
TERMINAL = (".", "!", "?", '"', "'", "”", "’", "»", "…", "。", "！", "？", "」", "』", "؟", "।", "።")
"""What a sentence, also a quoted one, ends with."""


class Repeated(NamedTuple):
    """Which share of the parts, and of their characters, is that of parts that came before."""

    parts: float
    characters: float


def lines_of(text: str) -> list[str]:
    """The lines that hold more than white space, without what surrounds them."""
    return [line for raw in text.splitlines() if (line := raw.strip())]


def paragraphs_of(text: str) -> list[str]:
    """What empty lines separate."""
    return [part for raw in _PARAGRAPH_END.split(text) if (part := raw.strip())]


def repeated(parts: Sequence[str]) -> Repeated:
    """How much of the parts are repeats of an earlier one; nothing where there are none.

    >>> repeated(["a", "bc", "a", "a"])
    Repeated(parts=0.5, characters=0.4)
    """
    distinct = set(parts)
    characters = sum(map(len, parts))
    return Repeated(
        share(len(parts) - len(distinct), len(parts)), share(characters - sum(map(len, distinct)), characters)
    )


def share(part: float, whole: float) -> float:
    """The part of the whole; 0.0 of nothing."""
    return part / whole if whole else 0.0
