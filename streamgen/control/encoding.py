"""A search space as NumPy sees it: numbers in [0, 1], and choices by their index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from streamgen.control.parameters import Categorical, Float, Int, Simplex, is_number
from streamgen.control.space import MAX_TRIES, Space
from streamgen.errors import FatalError
from streamgen.record import Value

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Number: TypeAlias = Float | Int | Simplex


class Points(NamedTuple):
    """Points of a space: `u` holds coordinates in [0, 1], `c` indices of choices; one row a point."""

    u: Floats
    c: Ints


class Encoding:
    """Turns settings into points and back.

    A number takes one coordinate, a simplex one for each part (its share), a categorical one index. What has no value
    (None, or not active) has one place: the middle of a range, equal shares, the first choice. `columns` and
    `categories` name the parameters behind the coordinates and the indices.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._choices = {name: each for name, each in space.items() if isinstance(each, Categorical)}
        self._numbers = {name: each for name, each in space.items() if not isinstance(each, Categorical)}
        self.categories = list(self._choices)
        self.columns: list[str] = []
        self._spans: dict[str, slice] = {}
        for name, each in self._numbers.items():
            self.columns += [f"{name}[{part}]" for part in each.parts] if isinstance(each, Simplex) else [name]
            self._spans[name] = slice(sum(span.stop - span.start for span in self._spans.values()), len(self.columns))
        self.sizes: Ints = np.array([len(each.choices) for each in self._choices.values()], dtype=np.int64)

    @property
    def continuous(self) -> int:
        """How many coordinates in [0, 1] a point has."""
        return len(self.columns)

    @property
    def is_share(self) -> Flags:
        """Which coordinates are shares of a simplex."""
        spans = self._numbers.items()
        return np.array([isinstance(each, Simplex) for name, each in spans for _ in range(self._width(name))], np.bool_)

    def encode(self, settings: Mapping[str, Value]) -> Points:
        """The settings' point, as two vectors; values outside of their range stand at its end."""
        u = [place for name, each in self._numbers.items() for place in _places(each, settings.get(name))]
        c = [_index(each, settings.get(name)) for name, each in self._choices.items()]
        return self.snap(np.array(u, dtype=np.float64), np.array(c, dtype=np.int64))

    def valued(self, settings: Mapping[str, Value]) -> tuple[Flags, Flags]:
        """Which coordinates, and which indices, the settings have a value for; {} leaves the shares to the stage."""
        has = {name: settings.get(name) not in (None, {}) for name in self.space}
        numbers = [has[name] for name in self._numbers for _ in range(self._width(name))]
        return np.array(numbers, dtype=np.bool_), np.array([has[name] for name in self._choices], dtype=np.bool_)

    def decode(self, u: Floats, c: Ints) -> dict[str, Value]:
        """The settings at a point, in the space's order, without what is not active."""
        settings: dict[str, Value] = dict.fromkeys(self.space)
        for name, each in self._numbers.items():
            settings[name] = _value(each, u[self._spans[name]].tolist())
        for (name, choices), index in zip(self._choices.items(), c.tolist(), strict=True):
            settings[name] = choices.choices[index]
        return self.space.active(settings)

    def draw(self, rng: np.random.Generator, m: int) -> Points:
        """`m` points drawn uniformly from the ranges, snapped; the stages are not asked: see `allows`."""
        u = rng.random((m, self.continuous))
        for name, span in self._spans.items():
            if isinstance(self._numbers[name], Simplex):
                portions = -np.log1p(-u[:, span])  # exponentials; their shares are Dirichlet with all parameters 1
                u[:, span] = portions / portions.sum(axis=1, keepdims=True)
        c = (rng.random((m, len(self.sizes))) * self.sizes).astype(np.int64)
        return self.snap(u, c)

    def sample(self, rng: np.random.Generator, m: int) -> Points:
        """`m` points drawn uniformly from what the stages allow, snapped.

        Where the space is constrained this asks the stages for each point, some 25 us each: for many candidates of
        which one is taken, `draw` them and ask `allows` for the best until one is.
        """
        found = self._allowed(self.draw(rng, m))
        tries = m
        while len(found.u) < m:
            if tries >= MAX_TRIES and not len(found.u):
                raise FatalError(f"{tries} draws from the search space gave nothing that the stages allow: narrow it")
            more, tries = self._allowed(self.draw(rng, m)), tries + m
            found = Points(np.vstack([found.u, more.u]), np.vstack([found.c, more.c]))
        return Points(found.u[:m], found.c[:m])

    def allows(self, u: Floats, c: Ints) -> bool:
        """Whether the stages take a point's settings together."""
        return not self.space.is_constrained or self.space.allows(self.decode(u, c))

    def snap(self, u: Floats, c: Ints) -> Points:
        """The points that stand for the same settings, one for all that do; any number of leading axes.

        Whole numbers stand in the middle of their cells, shares sum to 1, what is not active stands where nothing does.
        """
        places, indices = np.clip(u, 0.0, 1.0), np.array(c, dtype=np.int64)
        for name, each in self._numbers.items():
            places[..., self._spans[name]] = _snapped(each, places[..., self._spans[name]])
        self._put_away(places, indices)
        return Points(places, indices)

    def _width(self, name: str) -> int:
        return len(range(*self._spans[name].indices(self.continuous)))

    def _put_away(self, u: Floats, c: Ints) -> None:
        """Put what is not active where nothing stands."""
        active: dict[str, Flags] = {}
        for name, condition in self.space.conditions.items():
            flags = [active.get(other, True) & self._has(other, values, u, c) for other, values in condition.items()]
            active[name] = np.logical_and.reduce(flags)
            if name in self._spans:
                u[~active[name], self._spans[name]] = _nothing(self._numbers[name])
            else:
                c[~active[name], self.categories.index(name)] = 0

    def _has(self, name: str, values: tuple[Value, ...], u: Floats, c: Ints) -> Flags:
        """Which points have one of these values."""
        if name in self._choices:
            return np.isin(c[..., self.categories.index(name)], [_index(self._choices[name], each) for each in values])
        wanted = [place for value in values for place in _places(self._numbers[name], value)]
        near: Flags = np.abs(u[..., self._spans[name]] - wanted) < 1e-9
        return np.asarray(near.any(axis=-1))

    def _allowed(self, points: Points) -> Points:
        if not self.space.is_constrained:
            return points
        allowed = [self.allows(u, c) for u, c in zip(points.u, points.c, strict=True)]
        return Points(points.u[allowed], points.c[allowed])


def _nothing(parameter: Number) -> list[float]:
    return [1 / len(parameter.parts)] * len(parameter.parts) if isinstance(parameter, Simplex) else [0.5]


def _places(parameter: Number, value: Value) -> list[float]:
    if isinstance(parameter, Simplex):
        return list(parameter.shares(value).values()) if parameter.contains(value) else _nothing(parameter)
    return [min(max(parameter.encode(value), 0.0), 1.0)] if is_number(value) else _nothing(parameter)


def _value(parameter: Number, places: list[float]) -> Value:
    if isinstance(parameter, Simplex):
        return parameter.shares(dict(zip(parameter.parts, places, strict=True)))
    return parameter.decode(min(max(places[0], 0.0), 1.0))


def _index(parameter: Categorical, value: Value) -> int:
    return int(parameter.encode(value) * len(parameter.choices)) if parameter.contains(value) else 0


def _snapped(parameter: Number, places: Floats) -> Floats:
    if isinstance(parameter, Simplex):
        total = places.sum(axis=-1, keepdims=True)
        return np.where(total > 0, places / np.where(total > 0, total, 1.0), 1 / len(parameter.parts))
    return _cell_middles(parameter, places) if isinstance(parameter, Int) else places


def _cell_middles(parameter: Int, places: Floats) -> Floats:
    cells = Float(parameter.low, parameter.high + 1, parameter.log)
    low, high = _scaled(cells.low, cells.log), _scaled(cells.high, cells.log)
    reached: Floats = low + places * (high - low)
    values = np.minimum(np.floor(np.exp(reached) if cells.log else reached), parameter.high)
    middles: Floats = (_scaled(values, cells.log) + _scaled(values + 1, cells.log)) / 2
    return (middles - low) / (high - low)


def _scaled(values: Floats | float, log: bool) -> Floats:
    return np.log(values) if log else np.asarray(values, dtype=np.float64)
