"""How likely a batch is to bring a reward at all.

The same lines serve NumPy (acting) and JAX (meta-training): `xp` is the module that computes.
"""

from __future__ import annotations

from types import ModuleType
from typing import TypeAlias

import numpy as np

from streamgen.control.encoding import Floats, Points
from streamgen.control.features import Array

Pair: TypeAlias = tuple[Array, Array]

VIEWS = ((0.07, 3.0), (0.2, 2.0), (0.2, 30.0))
"""How far a trial tells of others (at this distance it counts 0.6), and how many trials the rate of all is worth.

Batches fail behind a sharp border, in a wide part of a range, or anywhere.
"""
OTHER_CHOICE = 0.3  # how much a trial with another choice counts


def chances(at: Points, tried: Points, worked: Floats) -> Floats:
    """The probability of success at each point; `worked` holds 1 for a trial that had a reward, 0 for a failed one."""
    if worked.all():
        return np.ones(len(at.u))
    return np.asarray(foretold(apart(at, tried), apart(tried, tried), worked, np.ones(len(worked)), np))


def apart(at: Pair, tried: Pair) -> Pair:
    """Squared distances and numbers of choices that differ (points, trials), of coordinates and choices."""
    (u, c), (tried_u, tried_c) = at, tried
    return ((u[:, None] - tried_u[None]) ** 2).sum(2), (c[:, None] != tried_c[None]).sum(2)


def foretold(near: Pair, tried: Pair, worked: Array, told: Array, xp: ModuleType) -> Array:
    """The success rate of the trials nearby, drawn towards that of all; trials that are not `told` count as nothing.

    A Beta posterior whose counts are weighted by a kernel (Goetschalckx, Poupart and Hoey 2011, "Continuous correlated
    beta processes"), the mean of several views by how well each foretells every trial from the others: failures that
    are scattered tell of no place. `near` is how far `apart` points are from the trials, `tried` the trials themselves.
    """
    overall = xp.minimum((worked.sum() + 1) / (told.sum() + 1), 1.0)
    others = told * (1 - xp.eye(len(worked)))

    def drawn(away: Pair, counted: Array, reach: float, strength: float) -> Array:
        weights = xp.exp(-0.5 * away[0] / reach**2) * OTHER_CHOICE ** away[1] * counted
        return (weights @ worked + strength * overall) / (weights.sum(1) + strength)

    likely = xp.stack([_likely(drawn(tried, others, *view), worked, told, xp) for view in VIEWS])
    shares = xp.exp(likely - likely.max())
    return shares @ xp.stack([drawn(near, told, *view) for view in VIEWS]) / shares.sum()


def _likely(chance: Array, worked: Array, told: Array, xp: ModuleType) -> Array:
    """The log likelihood of what happened."""
    return (xp.log(xp.where(worked > 0, chance, 1 - chance) + 1e-9) * told).sum()
