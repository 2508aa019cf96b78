"""A Gaussian process over settings, for many hyper-parameters at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from streamgen.control.encoding import Floats, Ints
from streamgen.control.warping import log_slopes, unwarped, warped

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
    """Hyper-parameters, a row a particle: logarithms, but for `power`, which says how the rewards are warped.

    `overlap` is the log odds of two choices' correlation, `level` the deviation of what a choice adds everywhere, in
    those of `signal`.
    """

    length: Floats  # (particles, coordinates)
    overlap: Floats  # (particles, choices)
    level: Floats  # (particles, choices)
    signal: Floats  # (particles,)
    noise: Floats
    forgetting: Floats
    power: Floats

    @classmethod
    def of(cls, theta: Floats, choices: int) -> Hyper:
        """The columns of a matrix, by their meaning."""
        *wide, rest = np.split(theta, np.cumsum([theta.shape[1] - 2 * choices - 4, choices, choices]), axis=1)
        return cls(*wide, *rest.T)

    def rows(self, some: slice) -> Hyper:
        """Some of the particles."""
        return Hyper(*(column[some] for column in self))


def covariance(hyper: Hyper, a: Inputs, b: Inputs) -> Floats:
    """Prior covariances (particles, len(a), len(b)), the constant mean's included.

    Matern-5/2 with a length scale a coordinate (ARD), times a correlation for each choice that differs, times
    forgetting, exp(-rate |t - t'|) (Rasmussen and Williams 2006, 4.2.1; Bogunovic et al. 2016). And a level for each
    choice: what one reward tells of it holds wherever it is chosen.
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
    for choice, variance in enumerate(_levels(hyper).T):
        k += variance[:, None, None] * (a.c[:, None, choice] == b.c[:, choice])


def _levels(hyper: Hyper) -> Floats:
    """Variances of what the choices add (particles, choices)."""
    return np.exp(2 * (hyper.level + hyper.signal[:, None]))


def log_likelihood(hyper: Hyper, inputs: Inputs, y: Floats, noise: Floats) -> Floats:
    """The log of the marginal likelihood of each particle, but for a constant; `noise` scales each row's variance."""
    n, power = len(y), hyper.power[:, None]
    z: Floats = warped(y, power)
    levels: Floats = log_slopes(y, power).sum(1)
    for some in _chunks(len(levels), n * n):
        bordered = np.empty((len(levels[some]), n + 1, n + 1))
        _fill(bordered[:, :n, :n], hyper.rows(some), inputs, inputs)
        _add_noise(bordered, hyper.rows(some), noise)
        # The last row of the factor of [[K, z], [z', large]] is the solution of L x = z.
        bordered[:, n, :n] = z[some]
        bordered[:, n, n] = 1e12
        factor = np.linalg.cholesky(bordered)
        logs = np.log(np.diagonal(factor, axis1=1, axis2=2)[:, :n]).sum(1)
        levels[some] -= 0.5 * (factor[:, n, :n] ** 2).sum(1) + logs
    return levels


def _chunks(particles: int, each: int) -> Iterator[slice]:
    """Slices of the particles so small that what is calculated on the way, `each` numbers a particle, stays small."""
    step = max(1, CHUNK // max(each, 1))
    return (slice(first, first + step) for first in range(0, particles, step))


class Prediction(NamedTuple):
    """What a posterior says of some points, a row a particle; `slopes` are those of the rewards over the warped."""

    at: Inputs
    means: Floats
    variances: Floats
    slopes: Floats
    known: Floats
    explained: Floats


class Posterior:
    """What rewards tell about settings, for each particle; rewards may differ between particles.

    Means are medians, and deviations reach one of the warped rewards upwards: what a bold guess may hope for.
    """

    def __init__(self, hyper: Hyper, inputs: Inputs, y: Floats, noise: Floats) -> None:
        self.hyper, self.inputs = hyper, inputs
        self._y, self._noise, self._power = y, noise, hyper.power[:, None]
        k = covariance(hyper, inputs, inputs)
        _add_noise(k, hyper, noise)
        self._inverse = np.linalg.inv(k)
        self._weights = self._inverse @ warped(y, self._power)[..., None]

    @property
    def worst(self) -> float:
        """The lowest reward."""
        return float(self._y.min())

    def believing(self, pending: Inputs) -> Posterior:
        """The posterior if each of the pending trials brought what is expected of it."""
        told = np.broadcast_to(self._y, (len(self.hyper.signal), self._y.shape[-1]))
        y = np.concatenate([told, self.mean(pending)], axis=1)
        return Posterior(
            self.hyper, joined(self.inputs, pending), y, np.concatenate([self._noise, np.ones(len(pending.t))])
        )

    def mean(self, at: Inputs) -> Floats:
        """What is expected (particles, points)."""
        z = (covariance(self.hyper, at, self.inputs) @ self._weights)[..., 0]
        return np.asarray(unwarped(z, self._power))

    def predict(self, at: Inputs) -> Prediction:
        """Means and variances at some points, and what is needed for their covariances."""
        known = covariance(self.hyper, at, self.inputs)
        explained = known @ self._inverse
        prior = np.exp(2 * self.hyper.signal) + MEAN_VARIANCE + _levels(self.hyper).sum(1)
        deviations = np.sqrt(np.maximum(prior[:, None] - np.einsum("pmn,pmn->pm", explained, known), 1e-10))
        middles = (known @ self._weights)[..., 0]
        means = unwarped(middles, self._power)
        upwards = unwarped(middles + deviations, self._power) - means
        return Prediction(at, means, upwards**2, upwards / deviations, known, explained)

    def between(self, seen: Prediction, chosen: Ints) -> Floats:
        """Covariances (particles, points, chosen) of all points with some of them."""
        at = seen.at
        prior = covariance(self.hyper, at, Inputs(at.x[chosen], at.c[chosen], at.t[chosen]))
        prior -= seen.explained @ seen.known[:, chosen].transpose(0, 2, 1)
        prior *= seen.slopes[:, :, None] * seen.slopes[:, None, chosen]
        return prior


def _add_noise(k: Floats, hyper: Hyper, noise: Floats) -> None:
    rows = np.arange(len(noise))
    k[:, rows, rows] += np.exp(2 * hyper.noise)[:, None] * noise + JITTER
