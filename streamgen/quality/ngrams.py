"""Runs of n words as 64-bit numbers, for a whole batch of texts at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_MOST_KNOWN = 1 << 16  # words whose hashes are remembered
_LONGEST_KNOWN = 64  # characters of such a word
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing


class Documents(NamedTuple):
    """The words of several texts as hashes, one text behind the other, and how many words each has."""

    words: Hashes
    lengths: NDArray[np.int64]


class NGrams(NamedTuple):
    """The n-grams of several texts, one text behind the other; those of text i begin at `starts[i]`."""

    hashes: Hashes
    starts: NDArray[np.int64]


def hashed(documents: Sequence[Sequence[str]]) -> Documents:
    """The words of each document as hashes."""
    lengths = np.fromiter(map(len, documents), np.int64, len(documents))
    words = np.fromiter(map(word_hash, chain.from_iterable(documents)), np.uint64, int(lengths.sum()))
    return Documents(words, lengths)


def in_groups(documents: Sequence[Sequence[str]], most_words: int = 1 << 20) -> Iterator[Sequence[Sequence[str]]]:
    """The documents in their order, in groups of about so many words: what is worked on at once has to be bounded.

    >>> list(in_groups(["ab", "c", "", "defg", "h"], 3))
    [['ab', 'c', ''], ['defg'], ['h']]
    """
    group: list[Sequence[str]] = []
    size = 0
    for document in documents:
        if group and size + len(document) > most_words:
            yield group
            group, size = [], 0
        group.append(document)
        size += len(document)
    if group:
        yield group


def ngrams(documents: Documents, n: int) -> NGrams:
    """The n-grams of each document in order, repeats included; none for a document of fewer than n words.

    The same n-gram has the same hash in every process: a polynomial of its words' blake2b digests.
    """
    words, lengths = documents
    counts = np.maximum(lengths - (n - 1), 0)
    starts = np.cumsum(counts) - counts
    windows = max(0, len(words) - (n - 1))
    hashes = words[:windows].copy()
    for shift in range(1, n):
        hashes *= _FACTOR
        hashes += words[shift : shift + windows]
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(words))  # words from here to the document's end
    return NGrams(hashes[left[:windows] >= n], starts)


class _KnownHashes(dict[str, int]):
    """The hashes of words that came before, a bounded number of them: twice as fast to ask as an `lru_cache`."""

    def __missing__(self, word: str) -> int:
        found = int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
        if len(word) <= _LONGEST_KNOWN:  # base64 is one word, and would stay in memory
            if len(self) >= _MOST_KNOWN:
                self.clear()
            self[word] = found
        return found


_known = _KnownHashes()
word_hash = _known.__getitem__
"""64 bits of a word, the same in every process (unlike `hash`)."""
