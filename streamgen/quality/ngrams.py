"""Runs of n words as 64-bit numbers, for a whole batch of texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

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
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
