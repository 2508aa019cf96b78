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


class NGrams(NamedTuple):
    """The n-grams of several texts, one text behind the other; those of text i begin at `starts[i]`."""

    hashes: Hashes
    starts: NDArray[np.int64]


def ngrams(documents: Sequence[Sequence[str]], n: int) -> NGrams:
    """The n-grams of each document in order, repeats included. Each document must have at least n words.

    The same n-gram has the same hash in every process: a polynomial of its words' blake2b digests.
    """
    lengths = np.fromiter(map(len, documents), np.int64, len(documents))
    if len(lengths) and lengths.min() < n:
        raise ValueError(f"a document has {lengths.min()} words; an {n}-gram needs {n}")
    total = int(lengths.sum())
    of_words = np.fromiter(map(word_hash, chain.from_iterable(documents)), np.uint64, total)
    starts = np.cumsum(lengths - (n - 1)) - (lengths - (n - 1))
    if n == 1 or total == 0:
        return NGrams(of_words, starts)
    windows = total - n + 1
    hashes = of_words[:windows].copy()
    for shift in range(1, n):
        hashes *= _FACTOR
        hashes += of_words[shift : shift + windows]
    within = np.ones(total, np.bool_)  # false where a window would run into the next document
    ends = np.cumsum(lengths)
    for back in range(1, n):
        within[ends - back] = False
    return NGrams(hashes[within[:windows]], starts)


@lru_cache(maxsize=1 << 16)
def word_hash(word: str) -> int:
    """64 bits of a word, the same in every process (unlike `hash`)."""
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
