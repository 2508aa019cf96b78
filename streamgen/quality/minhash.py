"""Finds texts that share most of their shingles: MinHash with banding, and a check of what it proposes.

Broder, "On the resemblance and containment of documents" (1997); banding as in Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", section 3.4. With 20 bands of 6 rows a pair of Jaccard similarity J is proposed with
probability 1 - (1 - J^6)^20: .27 at J = .5, .92 at .7, .998 at .8, and each proposal is compared exactly.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamgen.quality.ngrams import Hashes, NGrams, hashed, in_groups, ngrams
from streamgen.text import words

BANDS, ROWS = 20, 6
_BLOCK = 1 << 15  # numbers in a temporary array: 256 KB stay in the cache (22 k texts/s; 1 << 16: 7 k)
_CHUNK = 4096  # texts that are compared at once


class Sketch(NamedTuple):
    """What the index keeps of one text: its distinct shingles, sorted, and one key for each band."""

    shingles: Hashes
    keys: list[int]


class MinHashIndex:
    """Remembers texts and tells the greatest Jaccard similarity of a new one to any of them.

    About 2 KB a text of 100 words. A text shorter than `shingle` words is one shingle, as is the empty text.
    """

    def __init__(self, shingle: int) -> None:
        self.shingle = shingle
        self._shingles: list[Hashes] = []
        self._newest: dict[int, int] = {}  # band key -> the last text with it
        self._before = array("q")  # text * BANDS + band -> the text before it with the same key, or -1
        random = np.random.default_rng(120)  # any fixed seed: the same texts must give the same keys
        odd = random.integers(0, 1 << 63, (BANDS * ROWS, 1), np.uint64) * np.uint64(2) + np.uint64(1)
        self._factors = odd
        self._offsets = random.integers(0, 1 << 63, (BANDS * ROWS, 1), np.uint64)
        self._mix = random.integers(0, 1 << 63, (BANDS, ROWS), np.uint64) * np.uint64(2) + np.uint64(1)

    def __len__(self) -> int:
        return len(self._shingles)

    def sketch(self, texts: Sequence[str]) -> list[Sketch]:
        """A sketch of each text; changes nothing."""
        documents = [self._padded(text) for text in texts]
        return [sketch for group in in_groups(documents) for sketch in self._sketched(group)]

    def _sketched(self, documents: Sequence[Sequence[str]]) -> list[Sketch]:
        found = ngrams(hashed(documents), self.shingle)
        keys = (self._minima(found).reshape(len(documents), BANDS, ROWS) * self._mix).sum(axis=2, dtype=np.uint64)
        parts = np.split(found.hashes, found.starts[1:])
        return [Sketch(_distinct(part), row) for part, row in zip(parts, keys.tolist(), strict=True)]

    def nearest(self, sketch: Sketch) -> float:
        """The Jaccard similarity of the nearest text that banding proposes; 0.0 where it proposes none."""
        if self._newest.keys().isdisjoint(sketch.keys):  # most texts are like no other
            return 0.0
        proposed = [self._shingles[text] for text in set(self._proposed(sketch))]
        chunks = (proposed[start : start + _CHUNK] for start in range(0, len(proposed), _CHUNK))
        return max((float(jaccard(sketch.shingles, chunk).max()) for chunk in chunks), default=0.0)

    def add(self, sketch: Sketch) -> None:
        """Remember a text."""
        text = len(self._shingles)
        self._shingles.append(sketch.shingles)
        self._before.extend(map(self._newest.get, sketch.keys, repeat(-1)))
        self._newest.update(dict.fromkeys(sketch.keys, text))

    def _padded(self, text: str) -> list[str]:
        found = words(text)
        return found + [""] * (self.shingle - len(found))

    def _minima(self, found: NGrams) -> Hashes:
        """The least value of each of the 120 hash functions over each text's shingles: one row a text."""
        rows = max(1, _BLOCK // len(found.hashes))
        blocks = [
            np.minimum.reduceat(
                found.hashes * self._factors[row : row + rows] + self._offsets[row : row + rows], found.starts, axis=1
            )
            for row in range(0, BANDS * ROWS, rows)
        ]
        return np.ascontiguousarray(np.concatenate(blocks).T)

    def _proposed(self, sketch: Sketch) -> Iterator[int]:
        for band, key in enumerate(sketch.keys):
            text = self._newest.get(key, -1)
            while text >= 0:
                yield text
                text = self._before[text * BANDS + band]


def _distinct(hashes: Hashes) -> Hashes:
    """Sorted, each once; a third of what `np.unique` takes for so few."""
    ordered = np.sort(hashes)
    is_first = np.empty(len(ordered), bool)
    is_first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return ordered[is_first]


def jaccard(one: Hashes, others: Sequence[Hashes]) -> NDArray[np.float64]:
    """The share of common elements of one sorted array without repeats and each of the others.

    >>> jaccard(np.array([1, 2, 3], np.uint64), [np.array([2, 3, 4], np.uint64)]).tolist()
    [0.5]
    """
    lengths = np.fromiter(map(len, others), np.int64, len(others))
    flat = np.concatenate(others)
    is_common = one[np.minimum(np.searchsorted(one, flat), len(one) - 1)] == flat
    common = np.add.reduceat(is_common, np.cumsum(lengths) - lengths, dtype=np.int64)
    return np.asarray(common / (len(one) + lengths - common))
