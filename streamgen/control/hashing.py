"""Texts as vectors of fixed length: counts of n-grams, hashed (Weinberger et al. 2009), in NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamgen.quality.ngrams import word_hash
from streamgen.text import words

Features: TypeAlias = Literal["characters", "words"]
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]

SIZES: dict[Features, tuple[int, ...]] = {"characters": (3, 4, 5), "words": (1, 2)}

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_ONE, _HALF = np.uint64(1), np.uint64(32)
_BLOCK = 1 << 13  # characters
_NONE = np.empty(0)


def vectors(texts: Sequence[str], dimensions: int, features: Features = "characters") -> Floats:
    """Rows of unit length, one a text; a text without any n-gram is a row of zeros.

    The same text has the same row in every process. Counts are damped by their square root, as a frequent n-gram says
    little; signs make collisions cancel out in the mean.
    """
    rows = np.concatenate([_counts(block, dimensions, features) for block in _blocks(texts)] or [_NONE])
    rows = rows.reshape(len(texts), dimensions)
    rows = np.sign(rows) * np.sqrt(np.abs(rows))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.where(lengths > 0, lengths, 1.0)
    return unit


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in runs of some thousand characters, so that what is made of one stays in the cache."""
    start = size = 0
    for place, text in enumerate(texts):
        if size and size + len(text) > _BLOCK:
            yield texts[start:place]
            start, size = place, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]


def _counts(texts: Sequence[str], dimensions: int, features: Features) -> Floats:
    """How often each place is hit, less how often with a minus: `dimensions` for each text, one behind the other."""
    parts = [_characters(text) if features == "characters" else _words(text) for text in texts]
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    units, ends = np.concatenate(parts), np.cumsum(lengths)
    rows = np.repeat(np.arange(len(parts)) * 2 * dimensions, lengths)
    hits = np.zeros((len(parts) + 1) * 2 * dimensions, np.int64)  # the last row is for what no text has
    for size in SIZES[features]:
        for near in range(1, size):  # a run that begins so near a text's end would reach into the next one
            rows[(ends - near)[lengths >= near]] = len(parts) * 2 * dimensions
        hashes = _ngrams(units, size)
        hits += np.bincount(_slots(hashes, dimensions) + rows[: len(hashes)], minlength=len(hits))
    signed = hits[: -2 * dimensions].reshape(-1, 2)
    return (signed[:, 1] - signed[:, 0]).astype(np.float64)


def _slots(hashes: Hashes, dimensions: int) -> NDArray[np.int64]:
    """Twice the place of each hash, and its sign, which is its last bit."""
    if dimensions & (dimensions - 1) == 0:
        return (hashes & np.uint64(2 * dimensions - 1)).view(np.int64)  # the same, in a sixth of the time
    return (((hashes >> _ONE) % np.uint64(dimensions) << _ONE) | (hashes & _ONE)).view(np.int64)


def _characters(text: str) -> Hashes:
    spaced = f" {' '.join(text.lower().split())} "
    return np.frombuffer(spaced.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)


def _words(text: str) -> Hashes:
    found = words(text)
    return np.fromiter(map(word_hash, found), np.uint64, len(found))


def _ngrams(units: Hashes, size: int) -> Hashes:
    """A hash of each run of `size` units: a polynomial, mixed so that every bit depends on all."""
    runs = max(0, len(units) - size + 1)
    hashes = np.full(runs, size, dtype=np.uint64)
    for shift in range(size):
        hashes *= _FACTOR
        hashes += units[shift : shift + runs]
    hashes ^= hashes >> _HALF
    hashes *= _MIX
    return hashes ^ (hashes >> _HALF)
