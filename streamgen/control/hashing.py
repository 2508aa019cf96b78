"""Texts as vectors of fixed length: counts of n-grams, hashed (Weinberger et al. 2009), in NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
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
_HALF, _TOP = np.uint64(32), np.uint64(63)


def vectors(texts: Sequence[str], dimensions: int, features: Features = "characters") -> Floats:
    """Rows of unit length, one a text; a text without any n-gram is a row of zeros.

    The same text has the same row in every process. Counts are damped by their square root, as a frequent n-gram says
    little; signs make collisions cancel out in the mean.
    """
    rows = np.array([_counts(text, dimensions, features) for text in texts]).reshape(len(texts), dimensions)
    rows = np.sign(rows) * np.sqrt(np.abs(rows))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.where(lengths > 0, lengths, 1.0)
    return unit


def _counts(text: str, dimensions: int, features: Features) -> Floats:
    units = _characters(text) if features == "characters" else _words(text)
    hashes = np.concatenate([_ngrams(units, size) for size in SIZES[features]])
    places = ((hashes >> np.uint64(1)) % np.uint64(dimensions)).astype(np.intp)
    signs = np.where(hashes & np.uint64(1), 1.0, -1.0)
    counts: Floats = np.bincount(places, weights=signs, minlength=dimensions).astype(np.float64)
    return counts


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
        hashes = hashes * _FACTOR + units[shift : shift + runs]
    hashes ^= hashes >> _HALF
    hashes *= _MIX
    return hashes ^ (hashes >> _HALF)
