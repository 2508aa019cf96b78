"""The family `mixed8`: floats, whole numbers and a category, of which few matter."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.tuning.world import Settings, State, number, text
from streamgen.control.agent import Reward
from streamgen.control.space import Categorical, Float, Int, Space

NUMBERS: dict[str, Float | Int] = {
    "a.temperature": Float(0.0, 2.0),
    "a.top_p": Float(0.1, 1.0),
    "a.penalty": Float(-1.0, 1.0),
    "a.keep": Float(0.2, 1.0),
    "a.shots": Int(0, 8),
    "a.depth": Int(1, 5),
    "a.tokens": Int(16, 1024, log=True),
}
TEMPLATES = tuple(f"t{i}" for i in range(6))
NOISE = 0.05


class Mixed:
    """A bowl around one best point: three of seven numbers matter much, two of these together, and the template."""

    def __init__(self, seed: int) -> None:
        self._rng = rng = np.random.default_rng([seed, 8, 47])
        self.space = Space({**NUMBERS, "a.template": Categorical(TEMPLATES)})
        places = rng.uniform(0.1, 0.9, len(NUMBERS))
        # The best point is one that can be set: whole numbers stand in the middle of their cells.
        self._best = np.array([p.encode(p.decode(x)) for p, x in zip(NUMBERS.values(), places, strict=True)])
        order = rng.permutation(len(NUMBERS))
        self._weights = np.full(len(NUMBERS), 0.05)
        self._weights[order[:3]] = rng.uniform(1.0, 3.0, 3)
        self._pair = order[:2]
        self._together = rng.choice([-0.7, 0.7])
        self._levels = rng.permutation(np.array([1.0, *rng.uniform(0.5, 0.9, len(TEMPLATES) - 1)]))

    def state(self) -> State:
        return State()

    def best(self) -> float:
        return 1.0

    def mean(self, settings: Settings) -> float:
        point = np.array([parameter.encode(number(settings, name)) for name, parameter in NUMBERS.items()])
        away = np.sqrt(self._weights) * (point - self._best)
        i, j = self._pair
        loss = float((away**2).sum() + 2 * self._together * away[i] * away[j])
        return float(self._levels[TEMPLATES.index(text(settings, "a.template"))]) * math.exp(-loss)

    def play(self, settings: Settings) -> Reward:
        return Reward(value=self.mean(settings) + NOISE * float(self._rng.standard_normal()), n=32)


def mixed8(seed: int) -> Mixed:
    """4 floats, 3 whole numbers of which one is log, a category of 6; sparse importances, one interaction."""
    return Mixed(seed)
