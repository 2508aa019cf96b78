"""What a policy sees of a set of candidates: the surrogate's opinion of each, and how far the search is.

The same lines serve NumPy (acting) and JAX (meta-training): `xp` is the module that computes. Rewards are scaled to
a variance of 1.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

Array: TypeAlias = Any
"""A NumPy or a JAX array: no type holds both."""

FARTHEST = 1.0
OWN, COMMON = 12, 7
FEATURES = 2 * OWN + COMMON
GAP, DEVIATION, CHANCE, RANGE = 0, 1, 7, 2 * OWN
"""Columns: the mean less the incumbent's, the standard deviation, the chance to work, and how high the incumbent is."""


class Tried(NamedTuple):
    """Where trials are: told, failed and pending; rows that are not `used` count as nothing."""

    u: Array  # (trials, coordinates)
    c: Array  # (trials, choices)
    used: Array  # (trials,) 1 or 0


class Progress(NamedTuple):
    """How far the search is."""

    share: Array  # of the trials that are planned
    rewards: Array
    pending: Array
    coordinates: Array


class Opinion(NamedTuple):
    """What each particle of the surrogate says of the candidates."""

    means: Array  # (particles, candidates)
    variances: Array
    noise: Array  # (particles,) variances
    forgetting: Array  # (particles,) logarithms of rates
    incumbent: Array  # the highest mean of what was tried, over all particles
    worst: Array  # the lowest reward


class Around(NamedTuple):
    """What was tried near each candidate."""

    distance: Array
    share: Array
    chance: Array


class Setting(NamedTuple):
    """What candidates are compared with: means and deviations over the set that the policy was shown first."""

    mean: Array
    mean_spread: Array
    deviation: Array
    deviation_spread: Array


def around(u: Array, c: Array, tried: Tried, chance: Array, coordinates: Array, xp: ModuleType) -> Around:
    """Of each candidate: the distance to the next trial, the share of trials with its choices, its chance to work."""
    squares = ((u[:, None] - tried.u[None]) ** 2).sum(-1) / xp.maximum(coordinates, 1.0)
    differ = (c[:, None] != tried.c[None]).any(-1)
    away = xp.where(tried.used > 0, xp.sqrt(squares) + 0.5 * differ, FARTHEST)
    alike = (1.0 - differ) * tried.used
    return Around(xp.minimum(away.min(-1), FARTHEST), alike.sum(-1) / xp.maximum(tried.used.sum(), 1.0), chance)


def setting(opinion: Opinion, xp: ModuleType) -> Setting:
    """The means and deviations of a set of candidates."""
    mean, deviation, _ = _pooled(opinion, xp)
    return Setting(mean.mean(), mean.std() + 1e-3, deviation.mean(), deviation.std() + 1e-3)


def own_features(opinion: Opinion, near: Around, among: Setting, xp: ModuleType) -> Array:
    """What there is to say of each candidate (candidates, OWN)."""
    mean, deviation, disagreement = _pooled(opinion, xp)
    gap = mean - opinion.incumbent
    z = gap / deviation
    improvement = deviation * (z * _cumulative(z, xp) + _density(z, xp))
    told = 0.5 * xp.log1p(deviation**2 / opinion.noise.mean())
    columns = (
        gap,
        deviation,
        xp.clip(z, -5.0, 5.0) / 3,
        xp.log(improvement + 1e-6) / 4,
        disagreement,
        near.distance,
        near.share,
        near.chance,
        xp.clip((mean - among.mean) / among.mean_spread, -5.0, 5.0) / 2,
        xp.clip((deviation - among.deviation) / among.deviation_spread, -5.0, 5.0) / 2,
        told / 2,
        _cumulative(z, xp),
    )
    return xp.stack(columns, -1)


def common_features(opinion: Opinion, progress: Progress, xp: ModuleType) -> Array:
    """What is the same for all candidates (COMMON,)."""
    columns = (
        opinion.incumbent - opinion.worst,
        xp.minimum(progress.share, 1.5),
        xp.log1p(progress.rewards) / 3,
        xp.sqrt(opinion.noise.mean()),
        xp.log1p(progress.coordinates) / 2,
        progress.pending / 4,
        (opinion.forgetting.mean() + 7.0) / 3,
    )
    return xp.stack([xp.asarray(column, dtype=opinion.means.dtype) for column in columns])


def beside(own: Array, context: Array, xp: ModuleType) -> Array:
    """Each candidate's features beside those of its set (candidates, FEATURES)."""
    return xp.concatenate([own, xp.broadcast_to(context, (*own.shape[:-1], context.shape[-1]))], -1)


def _pooled(opinion: Opinion, xp: ModuleType) -> tuple[Array, Array, Array]:
    """Mean, standard deviation and the particles' disagreement: the moments of their mixture."""
    mean, disagreement = opinion.means.mean(0), opinion.means.std(0)
    return mean, xp.sqrt(opinion.variances.mean(0) + disagreement**2), disagreement


def _density(z: Array, xp: ModuleType) -> Array:
    return xp.exp(-0.5 * z**2) / 2.5066282746310002


def _cumulative(z: Array, xp: ModuleType) -> Array:
    """The normal distribution function to 1e-7 (Abramowitz and Stegun 1964, 26.2.17)."""
    t = 1 / (1 + 0.2316419 * xp.abs(z))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = _density(z, xp) * series
    return xp.where(z > 0, 1 - upper, upper)
