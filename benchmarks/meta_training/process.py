"""The surrogate in JAX: a bank of hyper-parameters, each with a factor that grows by a row a trial.

The kernel is that of `streamgen.control.gaussian_process`. Where that moves its particles by MCMC, here many fixed
draws from the prior are weighted by their likelihood: with a row added at a time that is a hundred times cheaper.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.meta_training.problems import CHOICES, COORDINATES, STATES
from streamgen.control.gaussian_process import MEAN_VARIANCE, Hyper
from streamgen.control.hyperparameters import PARTICLES, Population
from streamgen.control.warping import log_slopes, unwarped, warped

ACTING = 8
NUGGET = 2e-3
"""Added to the noise: single precision does not hold less."""
LOST = 1e4
"""The noise variance of a failed batch: its row tells nothing."""


class Bank(NamedTuple):
    """Hyper-parameters, a row a particle; the columns are those of `gaussian_process.Hyper`."""

    length: jax.Array
    overlap: jax.Array
    level: jax.Array
    signal: jax.Array
    noise: jax.Array
    forgetting: jax.Array
    power: jax.Array


class Trials(NamedTuple):
    """All trials that were begun, a row each, in arrays of a fixed length; the row's index is its time."""

    x: jax.Array  # (trials, COORDINATES + STATES)
    c: jax.Array
    reward: jax.Array
    failed: jax.Array
    inverse: jax.Array  # (particles, trials, trials): of the lower factor of the covariance


def banks(size: int, seed: int) -> Bank:
    """Draws from the surrogate's own prior, for each number of coordinates (COORDINATES, size, ...)."""
    rng = np.random.default_rng(seed)
    drawn = [_prior(size, number, rng) for number in range(1, COORDINATES + 1)]
    return Bank(*(jnp.asarray(np.stack(columns), jnp.float32) for columns in zip(*drawn, strict=True)))


def _prior(size: int, coordinates: int, rng: np.random.Generator) -> Hyper:
    parts = [
        Population(coordinates, STATES, CHOICES, rng).hyper(np.arange(PARTICLES)) for _ in range(-(-size // PARTICLES))
    ]
    length, *rest = (np.concatenate(columns)[:size] for columns in zip(*parts, strict=True))
    unused = np.zeros((size, COORDINATES - coordinates))
    return Hyper(np.hstack([length[:, :coordinates], unused, length[:, coordinates:]]), *rest)


def begun(size: int, trials: int) -> Trials:
    """No trials yet."""
    return Trials(
        jnp.zeros((trials, COORDINATES + STATES)),
        jnp.zeros((trials, CHOICES), jnp.int32),
        jnp.zeros(trials),
        jnp.zeros(trials),
        jnp.zeros((size, trials, trials)),
    )


def covariance(bank: Bank, x: jax.Array, c: jax.Array, time: jax.Array, trials: Trials) -> jax.Array:
    """Of points with all trials (particles, points, trials)."""
    scale = jnp.exp(-bank.length)[:, None] * jnp.sqrt(5.0)
    left, right = x * scale, trials.x * scale
    squares = (left**2).sum(2)[:, :, None] + (right**2).sum(2)[:, None] - 2 * left @ right.transpose(0, 2, 1)
    squares = jnp.maximum(squares, 0.0)
    # The square root has no gradient at 0, and none is needed.
    distance = jnp.sqrt(squares)
    differ = (c[:, None] != trials.c[None]) * 1.0
    exponent = distance + jnp.einsum("pk,mnk->pmn", jnp.logaddexp(0.0, -bank.overlap), differ)
    exponent += jnp.exp(bank.forgetting)[:, None, None] * jnp.abs(time - jnp.arange(len(trials.x)))
    k = (1 + distance + squares / 3) * jnp.exp(2 * bank.signal[:, None, None] - exponent)
    return k + MEAN_VARIANCE + jnp.einsum("pk,mnk->pmn", levels(bank), 1 - differ)


def levels(bank: Bank) -> jax.Array:
    """Variances of what the choices add (particles, CHOICES)."""
    return jnp.exp(2 * (bank.level + bank.signal[:, None]))


def _variance(bank: Bank) -> jax.Array:
    """Of a reward, before anything is told (particles,)."""
    return jnp.exp(2 * bank.signal) + MEAN_VARIANCE + levels(bank).sum(1)


def added(
    bank: Bank, trials: Trials, at: jax.Array, x: jax.Array, c: jax.Array, reward: jax.Array, failed: jax.Array
) -> Trials:
    """The trials and one more, in the row `at`."""
    before = jnp.arange(len(trials.x)) < at
    known = covariance(bank, x[None], c[None], at, trials)[:, 0] * before
    part = jnp.einsum("pij,pj->pi", trials.inverse, known)
    own = _variance(bank) + jnp.exp(2 * bank.noise) + NUGGET + LOST * failed
    pivot = jnp.sqrt(jnp.maximum(own - (part**2).sum(1), NUGGET))
    row = -jnp.einsum("pi,pij->pj", part, trials.inverse) / pivot[:, None]
    row = jnp.where(jnp.arange(len(trials.x)) == at, 1 / pivot[:, None], row)
    return Trials(
        trials.x.at[at].set(x),
        trials.c.at[at].set(c),
        trials.reward.at[at].set(reward),
        trials.failed.at[at].set(failed),
        trials.inverse.at[:, at].set(row),
    )


class Belief(NamedTuple):
    """Some particles, drawn by how likely they make the rewards, and what they say."""

    bank: Bank
    inverse: jax.Array
    weights: jax.Array  # (particles, trials): the inverse times the warped rewards
    begun: jax.Array
    worst: jax.Array


def believed(bank: Bank, trials: Trials, told: jax.Array, begun_: jax.Array, place: jax.Array) -> Belief:
    """After the first `told` of `begun_` trials; a pending one, expected as good as its mean, has a 0 in `solved`."""
    counts = (jnp.arange(len(trials.x)) < told) * (1 - trials.failed)
    number = jnp.maximum(counts.sum(), 1.0)
    mean = (trials.reward * counts).sum() / number
    spread = jnp.sqrt((((trials.reward - mean) * counts) ** 2).sum() / number)
    scaled = (trials.reward - mean) * counts / jnp.maximum(spread, 1e-3)
    power = bank.power[:, None]
    z = warped(scaled, power, jnp) * counts
    solved = jnp.einsum("pij,pj->pi", trials.inverse, z) * (jnp.arange(len(scaled)) < told)
    pivots = jnp.diagonal(trials.inverse, axis1=1, axis2=2)
    likely = -0.5 * (solved**2).sum(1) + (jnp.log(jnp.where(counts > 0, pivots, 1.0))).sum(1)
    shares = jnp.cumsum(jax.nn.softmax(likely + (log_slopes(scaled, power, jnp) * counts).sum(1)))
    places = (jnp.arange(ACTING) + place) / ACTING
    chosen = jnp.clip(jnp.searchsorted(shares, places), 0, len(shares) - 1)
    inverse = trials.inverse[chosen]
    weights = jnp.einsum("pij,pi->pj", inverse, solved[chosen])
    return Belief(Bank(*(column[chosen] for column in bank)), inverse, weights, begun_, scaled.min())


def expected(belief: Belief, trials: Trials, x: jax.Array, c: jax.Array, time: jax.Array) -> jax.Array:
    """Means (particles, points)."""
    middles = jnp.einsum("pmj,pj->pm", _known(belief, trials, x, c, time), belief.weights)
    return jnp.asarray(unwarped(middles, belief.bank.power[:, None], jnp))


def predicted(
    belief: Belief, trials: Trials, x: jax.Array, c: jax.Array, time: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Means and variances (particles, points)."""
    known = _known(belief, trials, x, c, time)
    part = jnp.einsum("pmj,pij->pmi", known, belief.inverse)
    deviations = jnp.sqrt(jnp.maximum(_variance(belief.bank)[:, None] - (part**2).sum(2), 1e-10))
    middles = jnp.einsum("pmj,pj->pm", known, belief.weights)
    power = belief.bank.power[:, None]
    means = unwarped(middles, power, jnp)
    return means, (unwarped(middles + deviations, power, jnp) - means) ** 2


def _known(belief: Belief, trials: Trials, x: jax.Array, c: jax.Array, time: jax.Array) -> jax.Array:
    """Covariances with the trials that have begun; no other has a row yet."""
    return covariance(belief.bank, x, c, time, trials) * (jnp.arange(len(trials.x)) < belief.begun)
