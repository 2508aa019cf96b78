"""The greatest ROUGE-L of a text with any text of a pool, without comparing it with most of them."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import LCSseq

from streamgen.text import words

_CODE_POINTS = 0x110000
_SLACK = 1e-9  # loosens the bounds, so that rounding never hides a pair that is exactly on the threshold


class _Candidate(NamedTuple):
    text: int
    bound: float  # no greater F-measure is possible


class RougePool:
    """Texts, and an inverted index from words to them.

    The ROUGE-L F-measure of texts of m and n words whose longest common subsequence has l words is 2 l / (m + n)
    (Lin 2004, section 3.1, with beta = 1). l is at most the number of words in common, counted with repeats: only
    texts that share enough words are compared in full, the most promising ones first.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}  # word -> 1, 2, ...; 0 stands for a word that the pool does not have
        self._texts: list[str | list[int]] = []  # each word as one code point, as rapidfuzz likes it
        self._lengths = array("q")
        # The k-th occurrence of a word -> the texts that have k of it.
        self._holders: defaultdict[tuple[str, int], array[int]] = defaultdict(lambda: array("q"))
        self._first = 0  # texts before this one have left the pool

    def __len__(self) -> int:
        return len(self._texts) - self._first

    def greatest(self, text: str, at_least: float = 0.0) -> float:
        """The greatest ROUGE-L F-measure with a text of the pool; 0.0 where none reaches `at_least`."""
        found = words(text)
        coded = _coded([self._ids.get(word, 0) for word in found])
        best = 0.0
        for other, bound in self._candidates(found, at_least):
            if bound <= best:
                break
            total = len(found) + self._lengths[other]
            least = ceil(max(at_least, best) * total / 2 - _SLACK)
            best = max(best, 2 * LCSseq.similarity(coded, self._texts[other], score_cutoff=least) / total)
        return best if best >= at_least else 0.0

    def add(self, text: str, most: int | None = None) -> None:
        """Take a text into the pool; with `most`, the oldest ones beyond that number leave it."""
        self._take(words(text))
        if most is not None:
            self._first = max(self._first, len(self._texts) - most)
            if self._first > most:
                self._rebuild()

    def _take(self, found: Sequence[str]) -> None:
        for key in occurrences(found):
            self._holders[key].append(len(self._texts))
        self._texts.append(_coded([self._ids.setdefault(word, len(self._ids) + 1) for word in found]))
        self._lengths.append(len(found))

    def _rebuild(self) -> None:
        """Free what belongs to texts that left the pool: done when they outnumber the others."""
        known = ["", *self._ids]
        kept = [[known[number] for number in _numbers(text)] for text in self._texts[self._first :]]
        RougePool.__init__(self)
        for found in kept:
            self._take(found)

    def _candidates(self, found: Sequence[str], at_least: float) -> Iterator[_Candidate]:
        """Texts that may reach `at_least`, the most promising ones first."""
        length = len(found)
        # From 2 l / (m + n) >= t and n >= l follows l >= t m / (2 - t). A text with that many words in common has at
        # least half of them outside the `skipped` most frequent ones, whose long lists need not be read then.
        skipped = int(at_least * length / (2 - at_least) / 2)
        holders = sorted((self._holders[key] for key in occurrences(found) if key in self._holders), key=len)
        holders = holders[: length - skipped]
        if not holders:
            return
        shared = np.bincount(np.concatenate([np.frombuffer(texts, np.int64) for texts in holders]))
        shared[: self._first] = 0
        lengths = np.array(self._lengths[: len(shared)])
        bounds = 2 * np.minimum(shared + skipped, np.minimum(lengths, length)) / (lengths + length)
        likely = np.flatnonzero((shared > 0) & (bounds >= at_least - _SLACK))
        for text in likely[np.argsort(-bounds[likely], kind="stable")].tolist():
            yield _Candidate(text, float(bounds[text]))


def occurrences(found: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each word with the number of times that it has come so far.

    >>> list(occurrences(["a", "b", "a"]))
    [('a', 1), ('b', 1), ('a', 2)]
    """
    seen: Counter[str] = Counter()
    for word in found:
        seen[word] += 1
        yield word, seen[word]


def _coded(numbers: list[int]) -> str | list[int]:
    return "".join(map(chr, numbers)) if max(numbers, default=0) < _CODE_POINTS else numbers


def _numbers(coded: str | list[int]) -> list[int]:
    return [ord(code) for code in coded] if isinstance(coded, str) else coded
