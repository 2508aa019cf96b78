"""A search space as NumPy sees it: numbers in [0, 1], and choices by their index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from streamgen.control.space import MAX_TRIES, Categorical, Float, Int, Space
from streamgen.errors import FatalError
from streamgen.record import Value

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

MIDDLE = 0.5
"""Where a number stands that has no value: unset (the endpoint decides) or inactive."""


class Points(NamedTuple):
    """Points of a space: `u` holds coordinates in [0, 1], `c` indices of choices; one row a point."""

    u: Floats
    c: Ints


class Encoding:
    """Turns settings into points and back.

    Settings without a value (None, or absent) stand in the middle of their range, or on their first choice.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._numbers: dict[str, Float | Int] = {n: p for n, p in space.items() if not isinstance(p, Categorical)}
        self._choices: dict[str, Categorical] = {n: p for n, p in space.items() if isinstance(p, Categorical)}
        self.sizes: Ints = np.array([len(parameter.choices) for parameter in self._choices.values()], dtype=np.int64)

    @property
    def continuous(self) -> int:
        """How many coordinates in [0, 1] a point has."""
        return len(self._numbers)

    def encode(self, settings: Mapping[str, Value]) -> Points:
        """The settings' point, as two vectors."""
        u = [_place(parameter, settings.get(name)) for name, parameter in self._numbers.items()]
        c = [_index(parameter, settings.get(name)) for name, parameter in self._choices.items()]
        return Points(np.array(u, dtype=np.float64), np.array(c, dtype=np.int64))

    def decode(self, u: Floats, c: Ints) -> dict[str, Value]:
        """The settings at a point, in the space's order."""
        places, indices = iter(u.tolist()), iter(c.tolist())
        return {
            name: parameter.choices[next(indices)]
            if isinstance(parameter, Categorical)
            else parameter.decode(min(max(next(places), 0.0), 1.0))
            for name, parameter in self.space.items()
        }

    def sample(self, rng: np.random.Generator, m: int) -> Points:
        """`m` points drawn uniformly from what the stages allow, snapped."""
        found = self._allowed(self._drawn(rng, m))
        tries = m
        while len(found.u) < m:
            if tries >= MAX_TRIES and not len(found.u):
                raise FatalError(f"{tries} draws from the search space gave nothing that the stages allow: narrow it")
            more, tries = self._allowed(self._drawn(rng, m)), tries + m
            found = Points(np.vstack([found.u, more.u]), np.vstack([found.c, more.c]))
        return Points(found.u[:m], found.c[:m])

    def snap(self, u: Floats, c: Ints) -> Points:
        """The points that stand for the same settings: whole numbers in the middle of their cells."""
        snapped = np.clip(u, 0.0, 1.0)
        for column, parameter in enumerate(self._numbers.values()):
            if isinstance(parameter, Int):
                snapped[..., column] = _cell_middles(parameter, snapped[..., column])
        return Points(snapped, c)

    def _drawn(self, rng: np.random.Generator, m: int) -> Points:
        u = rng.random((m, self.continuous))
        c = (rng.random((m, len(self.sizes))) * self.sizes).astype(np.int64)
        return self.snap(u, c)

    def _allowed(self, points: Points) -> Points:
        if not self.space.is_constrained:
            return points
        allowed = [self.space.allows(self.decode(u, c)) for u, c in zip(points.u, points.c, strict=True)]
        return Points(points.u[allowed], points.c[allowed])


def _place(parameter: Float | Int, value: Value) -> float:
    return min(max(parameter.encode(value), 0.0), 1.0) if value is not None else MIDDLE


def _index(parameter: Categorical, value: Value) -> int:
    return int(parameter.encode(value) * len(parameter.choices)) if parameter.contains(value) else 0


def _cell_middles(parameter: Int, places: Floats) -> Floats:
    cells = Float(parameter.low, parameter.high + 1, parameter.log)
    low, high = _scaled(cells.low, cells.log), _scaled(cells.high, cells.log)
    reached: Floats = low + places * (high - low)
    values = np.minimum(np.floor(np.exp(reached) if cells.log else reached), parameter.high)
    middles: Floats = (_scaled(values, cells.log) + _scaled(values + 1, cells.log)) / 2
    return (middles - low) / (high - low)


def _scaled(values: Floats | float, log: bool) -> Floats:
    return np.log(values) if log else np.asarray(values, dtype=np.float64)
