"""How hard the English texts of a column are to read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from streamgen.metrics.spread import Spread
from streamgen.metrics.spread import State as SpreadState
from streamgen.metrics.texts import texts_of, words_of
from streamgen.record import Record, Value
from streamgen.settings import Settings

_State = tuple[int, tuple[int, int, int, int], dict[str, SpreadState]]

_decode = msgspec.msgpack.Decoder(_State).decode

_SENTENCE = re.compile(r"[.!?]+(?=[\s\"')\]]|$)")
_LONGEST = 60  # letters of a word that are looked at: a cache must not fill with what only looks like words
_VOWELS = re.compile(r"[aeiouy]+")
_SILENT = re.compile(  # an e that is written and not said
    r"(?<![aeiouy])(?:(?<!.[^aeiouys]l)(?<!^[^aeiou])e|(?<![cgsxz])(?<![cs]h)(?<!.[^aeiouys]l)es|(?<![td])ed)$"
    r"|[^aeiouyl]e(?:ly|less|ful|ment)s?$"
)
_APART = re.compile(  # neighbours that are two syllables
    r"(?<![tscgx])ia|(?<![tscgxlnv])io(?!u[^s])|(?<=[td])iou|(?<=[^aeioutscgx])ier(?!s?$)"
    r"|ie(?=t(?:y|s?$))|oe(?=[tm])|^[^aeiou]io|(?<=sc)ie|iu|(?<![gqs])ua|uou|(?<![p])eo(?!us)|[aeouy]i(?=ng)|ea(?=t[eio])|(?<=r)ea(?=l)|(?<=id)ea|[^aeiouy]sm$|(?<=[^aeiou])yi"
)


class ReadabilitySettings(Settings, frozen=True):
    """The column that is measured."""

    column: str

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Text(NamedTuple):
    """What the formulas need of a text."""

    sentences: int
    words: int
    syllables: int
    characters: int  # letters and digits


class Readability:
    """`flesch_reading_ease`, `flesch_kincaid_grade`, `automated_readability_index` of the texts, and lengths of all.

    Flesch 1948; Kincaid, Fishburne, Rogers and Chissom 1975 (also for the ARI of Smith and Senter 1967). The formulas
    are for English: a text of which fewer than half the words are in ASCII letters, or that has no word, is `left_out`.
    Syllables are groups of vowels with a few rules (see `syllables`).
    """

    def __init__(self, settings: ReadabilitySettings) -> None:
        self._column = settings.column
        self._left_out = 0
        self._sums = Text(0, 0, 0, 0)
        self._spreads = {name: Spread() for name in FORMULAS}

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records."""
        column = self._column
        pairs = zip(texts_of(records, column), words_of(records, column), strict=True)
        found = [measured(text, words) for text, words in pairs if _is_english(words)]
        self._left_out += len(records) - len(found)
        self._sums = Text(*map(sum, zip(self._sums, *found, strict=True)))
        for name, formula in FORMULAS.items():
            self._spreads[name].update(map(formula, found))

    def merge(self, other: Readability) -> None:
        """Take in another measurement."""
        self._left_out += other._left_out
        self._sums = Text(*map(sum, zip(self._sums, other._sums, strict=True)))
        for name, spread in self._spreads.items():
            spread.merge(other._spreads[name])

    def snapshot(self) -> bytes:
        """All that it knows."""
        spreads = {name: spread.state() for name, spread in self._spreads.items()}
        return msgspec.msgpack.encode((self._left_out, self._sums, spreads))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._left_out, sums, spreads = _decode(snapshot)
        self._sums = Text(*sums)
        for name, state in spreads.items():
            self._spreads[name].load(state)

    def result(self) -> dict[str, Value]:
        """Each score's spread over the records, and the mean lengths of all sentences and words."""
        sums = self._sums
        return {
            **{name: spread.result() for name, spread in self._spreads.items()},
            "words_per_sentence": sums.words / sums.sentences if sums.sentences else None,
            "syllables_per_word": sums.syllables / sums.words if sums.words else None,
            "left_out": self._left_out,
        }


def measured(text: str, words: Sequence[str]) -> Text:
    """What the formulas need of a text with at least one word.

    >>> measured("Hello there. Is it 3.5 miles?", ["hello", "there", "is", "it", "3", "5", "miles"])
    Text(sentences=2, words=7, syllables=8, characters=21)
    """
    ends = len(_SENTENCE.findall(text))
    rest = text.rstrip()[-3:]
    sentences = ends + (not any(mark in rest for mark in ".!?"))
    characters = sum(map(len, words))
    if characters > _LONGEST and max(map(len, words)) > _LONGEST:
        words = [word[:_LONGEST] for word in words]
    return Text(max(1, sentences), len(words), sum(map(syllables, words)), characters)


@lru_cache(maxsize=1 << 16)
def syllables(word: str) -> int:
    """How many syllables an English word in lower case has, at least 1: groups of vowels, but for silent endings.

    >>> [syllables(word) for word in ("cake", "table", "jumped", "wanted", "idea", "rhythm", "the")]
    [1, 2, 1, 2, 3, 1, 1]
    """
    count = len(_VOWELS.findall(word)) + len(_APART.findall(word))
    return max(1, count - (1 if _SILENT.search(word) else 0))


def flesch_reading_ease(text: Text) -> float:
    """About 100 for what a child of eleven reads, below 30 for papers."""
    return 206.835 - 1.015 * text.words / text.sentences - 84.6 * text.syllables / text.words


def flesch_kincaid_grade(text: Text) -> float:
    """Years of school, in the United States."""
    return 0.39 * text.words / text.sentences + 11.8 * text.syllables / text.words - 15.59


def automated_readability_index(text: Text) -> float:
    """Years of school, from characters instead of syllables."""
    return 4.71 * text.characters / text.words + 0.5 * text.words / text.sentences - 21.43


FORMULAS = {
    "flesch_reading_ease": flesch_reading_ease,
    "flesch_kincaid_grade": flesch_kincaid_grade,
    "automated_readability_index": automated_readability_index,
}


def _is_english(words: Sequence[str]) -> bool:
    """Whether at least half of the words are in ASCII; false of no words."""
    return bool(words) and 2 * sum(map(str.isascii, words)) >= len(words)
