"""The Vendi score of a stream: how many different records it amounts to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TILE = 64  # products so small stay in one thread: 4 us a row of 256, where BLAS takes 17 with all cores idle (120 not)


class SecondMoment:
    """The sum of the outer products of unit vectors: all that the Vendi score of a cosine kernel needs.

    The n x n kernel X X^T and the d x d matrix X^T X have the same eigenvalues but for zeros, so a stream of any
    length takes d x d numbers, and a vector d x d additions.

    >>> moment = SecondMoment(3)
    >>> moment.update(np.eye(3))
    >>> round(moment.vendi(), 6)
    3.0
    """

    def __init__(self, dimensions: int) -> None:
        self.count = 0
        self._sum = np.zeros(dimensions)
        self._products = np.zeros((dimensions, dimensions))  # symmetric: only what is right of the diagonal counts

    def update(self, rows: Floats) -> None:
        """Take in unit vectors, one a row; rows of zeros say nothing and are not counted."""
        rows = rows[np.abs(rows).sum(axis=1) > 0]
        self.count += len(rows)
        self._sum += rows.sum(axis=0)
        for start in range(0, len(rows), _TILE):
            self._multiply(rows[start : start + _TILE])

    def merge(self, other: SecondMoment) -> None:
        """Take in another one's vectors."""
        self.count += other.count
        self._sum += other._sum
        self._products += other._products

    def without(self, rows: Floats) -> SecondMoment:
        """This one less these vectors, which are among its own."""
        part, rest = moment_of(rows), SecondMoment(len(self._sum))
        rest.count = self.count - part.count
        rest._sum = self._sum - part._sum
        rest._products = self._products - part._products
        return rest

    def vendi(self) -> float:
        """From 1, all alike, to the number of vectors, all orthogonal; 0 for none (Friedman and Dieng 2023).

        It is the exponential of the entropy of the eigenvalues of the kernel divided by n, which sum to 1.
        """
        return _vendi(self._products / self.count) if self.count else 0.0

    def rke(self) -> float:
        """How many modes there are, from 1 up; 0 for none (Jalali et al. 2023, section 3).

        The exponential of Renyi's entropy of order 2: one by the sum of the squared eigenvalues of the kernel divided
        by n, which is the squared Frobenius norm of either matrix.
        """
        squares = np.triu(self._products) ** 2
        return float(self.count**2 / (2 * squares.sum() - np.trace(squares))) if self.count else 0.0

    def state(self) -> tuple[int, bytes, bytes]:
        """All that it knows, for `load`; of the symmetric products one half."""
        half = self._products[np.triu_indices(len(self._sum))]
        return self.count, self._sum.astype("<f8").tobytes(), half.astype("<f8").tobytes()

    def load(self, state: tuple[int, bytes, bytes]) -> None:
        """Know what another one knew."""
        self.count, self._sum = state[0], np.frombuffer(state[1], "<f8").astype(np.float64)
        self._products[np.triu_indices(len(self._sum))] = np.frombuffer(state[2], "<f8")

    def mean_similarity(self) -> float:
        """The mean cosine of two different vectors; 0 for fewer than two."""
        if self.count < 2:
            return 0.0
        return float((self._sum @ self._sum - self.count) / (self.count * (self.count - 1)))

    def _multiply(self, rows: Floats) -> None:
        for place in range(0, len(self._sum), _TILE):
            own = rows[:, place : place + _TILE].T
            for other in range(place, len(self._sum), _TILE):
                self._products[place : place + _TILE, other : other + _TILE] += own @ rows[:, other : other + _TILE]


def vendi_of(rows: Floats) -> float:
    """The Vendi score of a few unit vectors, by their n x n kernel: faster where they are fewer than their dimensions.

    >>> round(vendi_of(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])), 6)
    1.0
    """
    rows = rows[np.abs(rows).sum(axis=1) > 0]
    return _vendi(rows @ rows.T / len(rows)) if len(rows) else 0.0


def product(left: Floats, right: Floats) -> Floats:
    """The product of two matrices, in one thread."""
    found = np.zeros((len(left), right.shape[1]))
    for place in range(0, right.shape[1], _TILE):
        for inner in range(0, len(right), _TILE):
            tile = right[inner : inner + _TILE, place : place + _TILE]
            found[:, place : place + _TILE] += left[:, inner : inner + _TILE] @ tile
    return found


def moment_of(rows: Floats) -> SecondMoment:
    """The second moment of these unit vectors."""
    moment = SecondMoment(rows.shape[1])
    moment.update(rows)
    return moment


def jackknife(left_out: Sequence[float]) -> float:
    """The standard error of a figure, from what it comes to when each of some groups, alike in size, is left out."""
    return float(np.sqrt((len(left_out) - 1) * np.var(left_out)))


def _vendi(kernel: Floats) -> float:
    eigenvalues = np.linalg.eigvalsh(kernel, "U")
    positive = eigenvalues[eigenvalues > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))
