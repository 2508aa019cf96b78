"""What can be asked of a text and verified without a model, in the manner of IFEval.

Zhou et al. 2023, arXiv 2311.07911: verifiable instructions, and their strict and loose accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import msgspec

from streamgen.quality.phrases import Phrases
from streamgen.record import Value
from streamgen.text import words

if TYPE_CHECKING:
    from streamgen.quality.constraints import Constraints

Format: TypeAlias = Literal["json", "bullets", "numbered", "one_line", "lowercase", "uppercase", "quoted"]
Tone: TypeAlias = Literal["formal", "informal", "polite"]
Outcome: TypeAlias = Literal["passed", "loose", "violated"]

_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_BULLET = re.compile(r"[-*•][ \t]+\S")
_NUMBERED = re.compile(r"\d{1,3}[.)][ \t]+\S")
_SHORT = re.compile(r"\w['’](?:t|re|ve|ll|d|m)\b", re.IGNORECASE)
_CASUAL = frozenset(words("gonna wanna gotta kinda yeah yep nope hey hi wow cool guys stuff lol ok okay awesome dude"))
_POLITE = frozenset(words("please thank thanks kindly appreciate grateful welcome sorry apologies pleasure"))
_NOTHING = object()


class Text(NamedTuple):
    """A text and its words, which most verifiers look at."""

    text: str
    words: Sequence[str]

    @classmethod
    def of(cls, text: str) -> Text:
        """The text without the white space around it."""
        return cls(text.strip(), words(text))


def verified(text: str, constraints: Constraints) -> dict[str, Outcome]:
    """What became of each constraint that is set: passed as it is, or only when a frame is taken off, or violated."""
    whole = Text.of(text)
    violated = [name for name in constraints.names() if not VERIFIERS[name](whole, constraints)]
    found: dict[str, Outcome] = dict.fromkeys(constraints.names(), "passed")
    found.update(dict.fromkeys(violated, "violated"))
    for variant in map(Text.of, _variants(text) if violated else ()):
        found.update({name: "loose" for name in violated if VERIFIERS[name](variant, constraints)})
    return found


def _variants(text: str) -> list[str]:
    """Without its first line, its last line, both, and without the marks of emphasis (IFEval's loose accuracy)."""
    lines = text.strip().split("\n")
    parts = ["\n".join(lines[first : len(lines) - last]) for first, last in product((0, 1), repeat=2)]
    every = dict.fromkeys([*parts, *(part.replace("*", "") for part in parts)])
    return [part for part in every if part.strip() and part != text]


def items_in(text: str) -> int:
    """The members of a JSON list, else the lines that begin as those of a list do.

    >>> items_in("Sure:\\n- a\\n2. b"), items_in("[1, 2, 3]"), items_in("a")
    (2, 3, 0)
    """
    value = _json(text)
    return len(value) if isinstance(value, list) else len(_ITEM.findall(text))


def grade_of(text: Text) -> float | None:
    """Flesch and Kincaid's years of school; None for a text without words."""
    from streamgen.metrics.readability import flesch_kincaid_grade, measured

    return flesch_kincaid_grade(measured(text.text, text.words)) if text.words else None


def _json(text: str) -> Value:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _NOTHING


def _fits(text: Text, constraints: Constraints) -> bool:
    from streamgen.llm.shape import shape_of

    assert constraints.schema is not None
    value = _json(text.text)
    return value is not _NOTHING and shape_of(constraints.schema).fit(value)[1] is None


@lru_cache(maxsize=256)
def _phrases(phrases: tuple[str, ...]) -> Phrases:
    return Phrases(phrases)


def _found(text: Text, phrases: tuple[str, ...]) -> int:
    """How many of the phrases the text holds."""
    return len(set(_phrases(phrases).within(text.words)))


def _has_language(text: Text, constraints: Constraints) -> bool:
    from streamgen.quality.language import detected

    found = detected(text.text[:1000])
    return found is not None and found.code in constraints.languages


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


_FORMATS: Mapping[str, Callable[[str], bool]] = {
    "json": lambda text: _json(text) is not _NOTHING,
    "bullets": lambda text: bool(text) and all(map(_BULLET.match, _lines(text))),
    "numbered": lambda text: bool(text) and all(map(_NUMBERED.match, _lines(text))),
    "one_line": lambda text: len(_lines(text)) == 1,
    "lowercase": lambda text: any(map(str.isalpha, text)) and text == text.lower(),
    "uppercase": lambda text: any(map(str.isalpha, text)) and text == text.upper(),
    "quoted": lambda text: len(text) > 1 and text[0] in '"“' and text[-1] in '"”',
}


def _is_casual(text: Text) -> bool:
    return "!" in text.text or _SHORT.search(text.text) is not None or not _CASUAL.isdisjoint(text.words)


_TONES: Mapping[str, Callable[[Text], bool]] = {
    "formal": lambda text: bool(text.words) and not _is_casual(text),
    "informal": _is_casual,
    "polite": lambda text: not _POLITE.isdisjoint(text.words),
}


def _at_least(count: float | None, bound: float | None) -> bool:
    return count is not None and bound is not None and count >= bound


def _at_most(count: float | None, bound: float | None) -> bool:
    return count is not None and bound is not None and count <= bound


VERIFIERS: Mapping[str, Callable[[Text, Constraints], bool]] = {
    "schema": _fits,
    "min_words": lambda text, asked: _at_least(len(text.words), asked.min_words),
    "max_words": lambda text, asked: bool(text.text) and _at_most(len(text.words), asked.max_words),
    "max_characters": lambda text, asked: bool(text.text) and _at_most(len(text.text), asked.max_characters),
    "must": lambda text, asked: _found(text, asked.must) == len(_phrases(asked.must)),
    "must_not": lambda text, asked: bool(text.text) and not _found(text, asked.must_not),
    "terms": lambda text, asked: _found(text, asked.terms) >= min(asked.min_terms, len(_phrases(asked.terms))),
    "languages": _has_language,
    "format": lambda text, asked: _FORMATS[str(asked.format)](text.text),
    "min_items": lambda text, asked: _at_least(items_in(text.text), asked.min_items),
    "max_items": lambda text, asked: bool(text.text) and _at_most(items_in(text.text), asked.max_items),
    "tone": lambda text, asked: _TONES[str(asked.tone)](text),
    "min_grade": lambda text, asked: _at_least(grade_of(text), asked.min_grade),
    "max_grade": lambda text, asked: _at_most(grade_of(text), asked.max_grade),
}
"""By the field's name; an empty text passes none."""
