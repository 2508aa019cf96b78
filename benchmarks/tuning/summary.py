"""What many games say together: means with their intervals, and who wins how often."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from benchmarks.tuning.play import Game

Value = Callable[[Game], float]


class Level(msgspec.Struct, frozen=True):
    """A mean over seeds, and half of its 95 % interval."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half:.3f}"


def level(values: Sequence[float]) -> Level:
    """The mean, and 1.96 standard errors."""
    array = np.asarray(values, dtype=float)
    half = 1.96 * array.std(ddof=1) / math.sqrt(len(array)) if len(array) > 1 else math.inf
    return Level(float(array.mean()), float(half))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Level:
    """Ours minus theirs, seed by seed: below 0 we are better."""
    return level(np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float))


def wins(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The share of seeds on which ours is lower; a draw is half of one."""
    return float(np.mean([(a < b) + 0.5 * (a == b) for a, b in zip(ours, theirs, strict=True)]))


def geometric(levels: Mapping[str, float]) -> float:
    """The geometric mean over families."""
    return math.exp(float(np.mean([math.log(max(value, 1e-6)) for value in levels.values()])))
