"""Finds a new instruction in what a model wrote, and says which rule of form it breaks."""

from __future__ import annotations

import re
import string
from typing import Protocol

from streamgen.generate._refusals import is_refusal
from streamgen.llm.model import Response
from streamgen.quality.length import outside
from streamgen.text import words

# What a language model cannot see or do: the list of the authors' code.
BANNED = (
    *("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot"),
    "go to",
)
BANNED_STARTS = ("write a program",)

_NEXT_ITEM = re.compile(r"\n[^\S\n]*\d+[^\S\n]*[.)]\s")
_PREAMBLE = re.compile(r"\A\s*(?:sure|here|certainly|of course|ok(?:ay)?|absolutely)\b[^\n]*\n+", re.IGNORECASE)
_LEAD = re.compile(r"\A\s*(?:\d+\s*[.):]\s*)?(?:\W*(?:new\s+)?(?:task|instruction)\s*\d*\**\s*:[\s*]*)?", re.IGNORECASE)


class Rules(Protocol):
    """Which instructions are taken."""

    @property
    def min_words(self) -> int: ...
    @property
    def max_words(self) -> int: ...
    @property
    def banned(self) -> tuple[str, ...]: ...
    @property
    def banned_starts(self) -> tuple[str, ...]: ...
    @property
    def ascii_start(self) -> bool: ...


def first_instruction(response: Response) -> str:
    """The first task that was written, in one line."""
    text = _PREAMBLE.sub("", response.text)
    return " ".join(_LEAD.sub("", _NEXT_ITEM.split(text.lstrip(), maxsplit=1)[0]).split())


def is_cut(response: Response) -> bool:
    """Whether the first task itself was cut: a next one that has begun says that it was not."""
    return response.finish_reason == "length" and not _NEXT_ITEM.search(response.text)


def fault(instruction: str, rules: Rules) -> str | None:
    """The rule of form that an instruction breaks, or None (section 2.2 of the paper, and the authors' code)."""
    found = words(instruction)
    if not found:
        return "empty"
    if is_refusal(instruction, len(found)):
        return "refusal"
    if reason := outside(len(found), rules.min_words, rules.max_words):
        return reason
    if _is_banned(f" {' '.join(found)} ", rules):
        return "banned"
    return _faulty_start(instruction, rules)


def _is_banned(text: str, rules: Rules) -> bool:
    """`text` is of words in lower case, between spaces."""
    return any(f" {' '.join(words(phrase))} " in text for phrase in rules.banned) or any(
        text.startswith(f" {' '.join(words(start))} ") for start in rules.banned_starts
    )


def _faulty_start(instruction: str, rules: Rules) -> str | None:
    if instruction[0] in string.punctuation:
        return "punctuation"
    return "non_english" if rules.ascii_start and not instruction[0].isascii() else None
