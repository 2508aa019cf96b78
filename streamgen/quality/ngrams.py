"""Runs of n words as 64-bit numbers, for a whole batch of texts at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_LONGEST_KNOWN = 64  # characters of a word whose hash is remembered
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
    words = np.fromiter(chain.from_iterable(map(_hashes, documents)), np.uint64, int(lengths.sum()))
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


@lru_cache(maxsize=1 << 16)
def word_hash(word: str) -> int:
    """64 bits of a word, the same in every process (unlike `hash`)."""
    return _hash(word)


def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _hashes(document: Sequence[str]) -> Iterable[int]:
    """A word without an end, as base64 is one, would stay in memory for as long as it is known."""
    return map(word_hash if max(map(len, document), default=0) <= _LONGEST_KNOWN else _hash, document)
