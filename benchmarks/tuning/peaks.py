"""Families with a peak over temperature x top_p, one a method: `peak4`, `drift`, `noisy30`."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.tuning.world import Floats, Settings, State, number, text
from streamgen.control.agent import Reward
from streamgen.control.space import Categorical, Float, Space

NUMBERS = {"a.temperature": Float(0.0, 2.0), "a.top_p": Float(0.1, 1.0)}
MARGIN = 0.12
"""Peaks stay this far from the borders of the range."""


class Peaks:
    """Each method has a peak of its own place and height; the highest is 1.

    With `drift` the peaks wander half the range in 100 batches, and at one batch the best two methods change places.
    """

    def __init__(self, seed: int, methods: int, width: float, noise: float, floor: float = 0.1, drift: bool = False):
        rng = np.random.default_rng([seed, methods, drift, 31])
        self._methods = tuple(f"m{i}" for i in range(methods))
        self.space = Space({**NUMBERS, "a.method": Categorical(self._methods)})
        self._rng, self._width, self._noise, self._floor = rng, width, noise, floor
        self._centres: Floats = rng.uniform(MARGIN, 1 - MARGIN, (methods, 2))
        self._heights: Floats = rng.permutation(np.array([1.0, *rng.uniform(0.3, 0.7, methods - 1)]))
        direction = rng.uniform(0, 2 * math.pi)
        self._velocity = np.array([math.cos(direction), math.sin(direction)]) * (0.005 if drift else 0.0)
        self._change = int(rng.integers(15, 85)) if drift else None
        self._now = 0

    def state(self) -> State:
        return State()

    def best(self) -> float:
        return 1.0

    def mean(self, settings: Settings) -> float:
        method = self._methods.index(text(settings, "a.method"))
        point = np.array([parameter.encode(number(settings, name)) for name, parameter in NUMBERS.items()])
        away = float(((point - self._centre(method)) ** 2).sum()) / self._width**2
        return self._height(method) * (self._floor + (1 - self._floor) * math.exp(-0.5 * away))

    def play(self, settings: Settings) -> Reward:
        value = self.mean(settings) + self._noise * self._rng.standard_normal()
        self._now += 1
        return Reward(value=float(value), n=32)

    def _centre(self, method: int) -> Floats:
        """Where the peak is now: it turns back at the margin."""
        inner = 1 - 2 * MARGIN
        gone = (self._centres[method] - MARGIN + self._velocity * self._now) % (2 * inner)
        return np.asarray(MARGIN + np.minimum(gone, 2 * inner - gone))

    def _height(self, method: int) -> float:
        if self._change is None or self._now < self._change:
            return float(self._heights[method])
        first, second = np.argsort(-self._heights)[:2]
        return float(self._heights[{first: second, second: first}.get(method, method)])


def peak4(seed: int) -> Peaks:
    """A narrow peak, 4 methods each with an optimum of its own, one of them good; noise 0.05."""
    return Peaks(seed, methods=4, width=0.2, noise=0.05)


def drift(seed: int) -> Peaks:
    """The peak wanders half the range in 100 batches, the best method changes once."""
    return Peaks(seed, methods=3, width=0.22, noise=0.05, drift=True)


def noisy30(seed: int) -> Peaks:
    """Noise 0.3 on a range of 1."""
    return Peaks(seed, methods=3, width=0.25, noise=0.3, floor=0.0)
