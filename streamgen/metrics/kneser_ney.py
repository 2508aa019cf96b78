"""A language model of word n-grams with interpolated Kneser-Ney smoothing, as sorted arrays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamgen.quality.ngrams import Hashes, word_hash

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BEGIN, _END, _UNKNOWN = "\x02", "\x03", "\x00"  # no words: `streamgen.text.words` never gives these
_LEAST, _MOST = 0.1, 0.9  # a discount of 0 would leave nothing for what was not seen, one of 1 nothing for what was


class _Level(NamedTuple):
    """The n-grams of one size with their discounted shares, and their contexts with what is left for shorter ones."""

    grams: Hashes
    shares: Floats
    contexts: Hashes
    left: Floats


class Scored(NamedTuple):
    """Of each text: the sum of the natural logarithms of its words' probabilities, their number, how many unknown."""

    log_probability: Floats
    words: Counts
    unknown: Counts


class NGramModel:
    """P(word | the n - 1 before it), from texts (Kneser and Ney 1995; interpolated as in Chen and Goodman 1999, 2.7).

    One absolute discount for each size, n1 / (n1 + 2 n2), kept between 0.1 and 0.9; shorter n-grams count how many
    different words they come behind. Each text has a beginning and an end, which is predicted too. A word that the
    reference does not have is one `unknown` word, with its share of what unigrams leave, evenly among all words.
    """

    def __init__(self, texts: Sequence[Sequence[str]], n: int) -> None:
        self.n = n
        words, predicted = self._flat(texts)
        self._known = np.unique(words[predicted])
        grams = _grams(words, n)
        self._levels = [self._level(grams, size, predicted) for size in range(2, n + 1)]
        shares, left = _discounted(_types(grams, 1, predicted, n)[1])
        self._unigrams = shares + left / (len(self._known) + 1)
        self._unseen = left / (len(self._known) + 1)

    def score(self, texts: Sequence[Sequence[str]]) -> Scored:
        """How probable these texts are."""
        words, predicted = self._flat(texts)
        is_known = _is_in(words, self._known) | (words == np.uint64(word_hash(_BEGIN)))
        words = np.where(is_known, words, np.uint64(word_hash(_UNKNOWN)))
        lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
        starts = np.cumsum(lengths) - lengths
        logs = np.log(self._probabilities(_grams(words, self.n), predicted))
        unknown = np.add.reduceat((~is_known[predicted]).astype(np.int64), starts)
        return Scored(np.add.reduceat(logs, starts), lengths, unknown)

    def _probabilities(self, grams: Sequence[Hashes], predicted: Counts) -> Floats:
        found: Floats = _looked_up(grams[0][predicted], self._known, self._unigrams, self._unseen)
        for size, level in enumerate(self._levels, 2):
            share = _looked_up(grams[size - 1][predicted], level.grams, level.shares, 0.0)
            left = _looked_up(grams[size - 2][predicted - 1], level.contexts, level.left, 1.0)
            found = share + left * found
        return found

    def _level(self, grams: Sequence[Hashes], size: int, predicted: Counts) -> _Level:
        places, counts = _types(grams, size, predicted, self.n)
        contexts, where = np.unique(grams[size - 2][places - 1], return_inverse=True)
        discount = _discount(counts)
        totals = np.bincount(where, counts, len(contexts))
        types = np.bincount(where, minlength=len(contexts))
        shares = (counts - discount) / totals[where]
        return _Level(grams[size - 1][places], shares, contexts, discount * types / totals)

    def _flat(self, texts: Sequence[Sequence[str]]) -> tuple[Hashes, Counts]:
        """The words of all texts, each text with its beginnings and its end, and where those stand that are predicted.

        One beginning more stands in front, so that every place has a whole n-gram before it.
        """
        begin = [_BEGIN] * (self.n - 1)
        flat = list(chain(begin, *((*begin, *text, _END) for text in texts)))
        words = np.fromiter(map(word_hash, flat), np.uint64, len(flat))
        return words, np.flatnonzero(words != np.uint64(word_hash(_BEGIN)))


def _grams(words: Hashes, n: int) -> list[Hashes]:
    """Hashes of the n-grams of sizes 1 to n that end at each place."""
    grams = [words]
    for _ in range(n - 1):
        before = np.concatenate([np.zeros(1, np.uint64), grams[-1][:-1]])
        grams.append((before ^ (before >> np.uint64(32))) * _FACTOR + words)
    return grams


def _types(grams: Sequence[Hashes], size: int, predicted: Counts, n: int) -> tuple[Counts, Counts]:
    """Where each distinct n-gram of a size stands first, sorted by hash, and its count.

    Of the longest ones that is how often they came, of others before how many different words.
    """
    if size < n:
        _, first = np.unique(grams[size][predicted], return_index=True)
        predicted = predicted[np.sort(first)]
    _, first, counts = np.unique(grams[size - 1][predicted], return_index=True, return_counts=True)
    return predicted[first], counts


def _discounted(counts: Counts) -> tuple[Floats, float]:
    """The discounted shares of counts, and what is left."""
    discount, total = _discount(counts), int(counts.sum())
    return (counts - discount) / total, discount * len(counts) / total


def _discount(counts: Counts) -> float:
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return min(_MOST, max(_LEAST, once / (once + 2 * twice) if once else 0.0))


def _looked_up(hashes: Hashes, known: Hashes, values: Floats, otherwise: float) -> Floats:
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return np.where(known[places] == hashes, values[places], otherwise)


def _is_in(hashes: Hashes, known: Hashes) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes
    return found
