"""A Gaussian process over settings, for many hyper-parameters at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from streamgen.control.encoding import Floats, Ints

MEAN_VARIANCE = 4.0
"""Prior variance of the constant mean, of rewards scaled to a variance of 1.

Wide: rewards that are told come from where it is good, so that their mean says little about everywhere else.
"""
JITTER = 1e-6
CHUNK = 16_000
"""Numbers in an array: more are taken from the system and given back each time, which costs several times the sums."""


class Inputs(NamedTuple):
    """Where rewards are known or wanted, a row each: coordinates (and state), choices, and the time in batches."""

    x: Floats
    c: Ints
    t: Floats


def joined(*parts: Inputs) -> Inputs:
    """All rows, one after the other."""
    return Inputs(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.c for part in parts]),
        np.concatenate([part.t for part in parts]),
    )


class Hyper(NamedTuple):
    """Hyper-parameters, a row a particle: logarithms; `overlap` is the log odds of two choices' correlation."""

    length: Floats  # (particles, coordinates)
    overlap: Floats  # (particles, choices)
    signal: Floats  # (particles,)
    noise: Floats
    forgetting: Floats

    @classmethod
    def of(cls, theta: Floats, choices: int) -> Hyper:
        """The columns of a matrix, by their meaning."""
        numbers = theta.shape[1] - choices - 3
        return cls(theta[:, :numbers], theta[:, numbers : numbers + choices], *theta[:, numbers + choices :].T)

    def rows(self, some: slice) -> Hyper:
        """Some of the particles."""
        return Hyper(*(column[some] for column in self))


def covariance(hyper: Hyper, a: Inputs, b: Inputs) -> Floats:
    """Prior covariances (particles, len(a), len(b)), the constant mean's included.

    Matern-5/2 with a length scale a coordinate (ARD), times a correlation for each choice that differs, times
    forgetting, exp(-rate |t - t'|) (Rasmussen and Williams 2006, 4.2.1; Bogunovic et al. 2016).
    """
    k = np.empty((len(hyper.signal), len(a.x), len(b.x)))
    for some in _chunks(len(k), len(a.x) * len(b.x)):
        _fill(k[some], hyper.rows(some), a, b)
    return k


def _fill(k: Floats, hyper: Hyper, a: Inputs, b: Inputs) -> None:
    scale = np.exp(-hyper.length)[:, None, :] * np.sqrt(5.0)
    left, right = a.x * scale, b.x * scale
    np.matmul(left, right.transpose(0, 2, 1), out=k)
    k *= -2
    k += (left**2).sum(2)[:, :, None]
    k += (right**2).sum(2)[:, None, :]
    np.maximum(k, 0.0, out=k)
    exponent = np.sqrt(k)
    k /= 3
    k += exponent
    k += 1
    exponent += np.exp(hyper.forgetting)[:, None, None] * np.abs(a.t[:, None] - b.t)
    for choice, logit in enumerate(hyper.overlap.T):
        exponent += np.logaddexp(0.0, -logit)[:, None, None] * (a.c[:, None, choice] != b.c[:, choice])
    np.subtract(2 * hyper.signal[:, None, None], exponent, out=exponent)
    k *= np.exp(exponent, out=exponent)
    k += MEAN_VARIANCE


def log_likelihood(hyper: Hyper, inputs: Inputs, y: Floats, noise: Floats) -> Floats:
    """The log of the marginal likelihood of each particle, but for a constant; `noise` scales each row's variance."""
    n = len(y)
    levels = np.empty(len(hyper.signal))
    for some in _chunks(len(levels), n * n):
        bordered = np.empty((len(levels[some]), n + 1, n + 1))
        _fill(bordered[:, :n, :n], hyper.rows(some), inputs, inputs)
        _add_noise(bordered, hyper.rows(some), noise)
        # The last row of the factor of [[K, y], [y', large]] is the solution of L z = y.
        bordered[:, n, :n] = y
        bordered[:, n, n] = 1e12
        factor = np.linalg.cholesky(bordered)
        logs = np.log(np.diagonal(factor, axis1=1, axis2=2)[:, :n]).sum(1)
        levels[some] = -0.5 * (factor[:, n, :n] ** 2).sum(1) - logs
    return levels


def _chunks(particles: int, each: int) -> Iterator[slice]:
    """Slices of the particles so small that what is calculated on the way, `each` numbers a particle, stays small."""
    step = max(1, CHUNK // max(each, 1))
    return (slice(first, first + step) for first in range(0, particles, step))


class Prediction(NamedTuple):
    """What a posterior says of some points, a row a particle."""

    at: Inputs
    means: Floats
    variances: Floats
    known: Floats
    explained: Floats


class Posterior:
    """What rewards tell about settings, for each particle; rewards may differ between particles."""

    def __init__(self, hyper: Hyper, inputs: Inputs, y: Floats, noise: Floats) -> None:
        self.hyper, self.inputs = hyper, inputs
        self._y, self._noise = y, noise
        k = covariance(hyper, inputs, inputs)
        _add_noise(k, hyper, noise)
        self._inverse = np.linalg.inv(k)
        self._weights = self._inverse @ y[..., None] if y.ndim > 1 else self._inverse @ y[:, None]

    @property
    def worst(self) -> float:
        """The lowest reward."""
        return float(self._y.min())

    def believing(self, pending: Inputs) -> Posterior:
        """The posterior if each of the pending trials brought the mean that is expected of it."""
        told = np.broadcast_to(self._y, (len(self.hyper.signal), self._y.shape[-1]))
        y = np.concatenate([told, self.mean(pending)], axis=1)
        return Posterior(
            self.hyper, joined(self.inputs, pending), y, np.concatenate([self._noise, np.ones(len(pending.t))])
        )

    def mean(self, at: Inputs) -> Floats:
        """Posterior means (particles, points)."""
        return np.asarray((covariance(self.hyper, at, self.inputs) @ self._weights)[..., 0])

    def predict(self, at: Inputs) -> Prediction:
        """Means and variances at some points, and what is needed for their covariances."""
        known = covariance(self.hyper, at, self.inputs)
        explained = known @ self._inverse
        prior = np.exp(2 * self.hyper.signal)[:, None] + MEAN_VARIANCE
        variances = np.maximum(prior - np.einsum("pmn,pmn->pm", explained, known), 1e-10)
        return Prediction(at, (known @ self._weights)[..., 0], variances, known, explained)

    def between(self, seen: Prediction, chosen: Ints) -> Floats:
        """Covariances (particles, points, chosen) of all points with some of them."""
        at = seen.at
        prior = covariance(self.hyper, at, Inputs(at.x[chosen], at.c[chosen], at.t[chosen]))
        prior -= seen.explained @ seen.known[:, chosen].transpose(0, 2, 1)
        return prior


def _add_noise(k: Floats, hyper: Hyper, noise: Floats) -> None:
    rows = np.arange(len(noise))
    k[:, rows, rows] += np.exp(2 * hyper.noise)[:, None] * noise + JITTER
