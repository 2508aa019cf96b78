"""The family `cliff`: best just before the edge, and some batches fail."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.tuning.world import Settings, State, number, text
from streamgen.control.agent import Reward
from streamgen.control.space import Categorical, Float, Space

NUMBERS = {"a.temperature": Float(0.0, 2.0), "a.penalty": Float(-1.0, 1.0)}
METHODS = ("m0", "m1", "m2")
NOISE = 0.05
FAILED = 0.05
BEYOND = 0.05
"""What the other side of the edge is worth."""


class Cliff:
    """The reward climbs with the temperature to a plateau that ends at an edge; 5 % of the batches fail anywhere."""

    def __init__(self, seed: int) -> None:
        self._rng = rng = np.random.default_rng([seed, 5, 53])
        self.space = Space({**NUMBERS, "a.method": Categorical(METHODS)})
        self._edge = rng.uniform(0.35, 0.9)
        self._centre = rng.uniform(0.15, 0.85)
        self._levels = rng.permutation(np.array([1.0, *rng.uniform(0.3, 0.8, len(METHODS) - 1)]))

    def state(self) -> State:
        return State()

    def best(self) -> float:
        return 1.0

    def mean(self, settings: Settings) -> float:
        x, y = (parameter.encode(number(settings, name)) for name, parameter in NUMBERS.items())
        if x > self._edge:
            return BEYOND
        climbed = min(x / (0.6 * self._edge), 1.0)
        plateau = 0.2 + 0.65 * climbed + 0.15 * x / self._edge
        level = float(self._levels[METHODS.index(text(settings, "a.method"))])
        return level * plateau * math.exp(-0.5 * ((y - self._centre) / 0.3) ** 2)

    def play(self, settings: Settings) -> Reward:
        value = self.mean(settings) + NOISE * float(self._rng.standard_normal())
        if self._rng.random() < FAILED:
            return Reward(failed=True, error="the endpoint broke down")
        return Reward(value=value, n=32)


def cliff(seed: int) -> Cliff:
    """A plateau with a cliff, 5 % failed batches."""
    return Cliff(seed)
