"""Low-discrepancy points, by index."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from random import Random

DIGITS = 16  # in base 2 steps of 1.5e-5; in larger bases finer


class Halton:
    """Points of the unit cube that fill it evenly: radical inverses in prime bases, one a dimension.

    Each digit goes through a random permutation of its own (Owen 2017, "A randomized Halton algorithm in R"), which
    breaks the stripes between large bases and makes each point uniform.
    """

    def __init__(self, dimensions: int, seed: int) -> None:
        rng = Random(f"halton/{seed}")
        self._digits = [
            (base, [_permutation(base, rng) for _ in range(DIGITS)]) for base in islice(_primes(), dimensions)
        ]

    def point(self, index: int) -> list[float]:
        """The `index`-th point, at once."""
        return [_radical_inverse(index, base, permutations) for base, permutations in self._digits]


def _radical_inverse(index: int, base: int, permutations: list[list[int]]) -> float:
    place, scale = 0.0, 1.0
    for permutation in permutations:
        index, digit = divmod(index, base)
        scale /= base
        place += scale * permutation[digit]
    return place


def _permutation(base: int, rng: Random) -> list[int]:
    digits = list(range(base))
    rng.shuffle(digits)
    return digits


def _primes() -> Iterator[int]:
    found: list[int] = []
    for number in count(2):
        if all(number % prime for prime in found):
            found.append(number)
            yield number
