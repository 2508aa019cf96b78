"""Output warping: rewards that crowd at one end are spread before a Gaussian process is fitted to them.

The same lines serve NumPy and JAX (meta-training): `xp` is the module that computes.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from streamgen.control.features import Array

FARTHEST = 20.0  # standard deviations of rewards: what is hoped for far outside of what was told stays finite
_TINY = 1e-3


def warped(y: Array, power: Array, xp: ModuleType = np) -> Array:
    """The transform of Yeo and Johnson (2000); a power of 1 leaves values as they are, less spreads the low ones."""
    up, down = _powers(power, xp)
    high, low = xp.maximum(y, 0.0) + 1, xp.maximum(-y, 0.0) + 1
    return xp.where(y >= 0, (high**up - 1) / up, (1 - low**down) / down)


def unwarped(z: Array, power: Array, xp: ModuleType = np) -> Array:
    """The values that `warped` makes these of."""
    up, down = _powers(power, xp)
    high = xp.maximum(xp.maximum(z, 0.0) * up + 1, _TINY) ** (1 / up) - 1
    low = 1 - xp.maximum(xp.maximum(-z, 0.0) * down + 1, _TINY) ** (1 / down)
    return xp.clip(xp.where(z >= 0, high, low), -FARTHEST, FARTHEST)


def log_slopes(y: Array, power: Array, xp: ModuleType = np) -> Array:
    """The logarithm of the transform's derivative: a likelihood of the warped values counts for the values with it."""
    return (_bounded(power, xp) - 1) * xp.sign(y) * xp.log1p(xp.abs(y))


def _bounded(power: Array, xp: ModuleType) -> Array:
    return xp.clip(power, -1.0, 3.0)


def _powers(power: Array, xp: ModuleType) -> tuple[Array, Array]:
    """Those of the values above and below 0, none of them 0."""
    power = _bounded(power, xp)
    return _not_zero(power, xp), _not_zero(2 - power, xp)


def _not_zero(power: Array, xp: ModuleType) -> Array:
    return xp.where(xp.abs(power) < _TINY, _TINY, power)
