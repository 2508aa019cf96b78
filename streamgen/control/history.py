"""Rewards by the points of their settings: what agents with a memory of places learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from streamgen.control.agent import Reward
from streamgen.control.encoding import Encoding, Floats, Ints, Points
from streamgen.record import Value

KEPT = 256  # rewards: more change neither the recommendation nor the next trial, and would only cost time
REACH = 0.15  # a neighbour at this distance in each of two coordinates tells little more than half as much
OTHER_CHOICE = 0.1  # how much a reward tells about settings with another choice
PRIOR = 0.5  # how many rewards the mean of all is worth


class Row(msgspec.Struct, frozen=True):
    """A reward and the settings that it belongs to."""

    trial: int
    settings: Mapping[str, Value]
    value: float


class Known(NamedTuple):
    """Points and their rewards, one row each."""

    points: Points
    values: Floats


class History:
    """The last rewards that have a value, in the order told; a trial's newest reward stands for all of its own."""

    def __init__(self, encoding: Encoding, kept: int = KEPT) -> None:
        self._encoding = encoding
        self._kept = kept
        self._rows: dict[int, Row] = {}
        self._points: dict[int, Points] = {}  # of the same trials

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> list[Row]:
        """What is kept, the newest last."""
        return list(self._rows.values())

    def add(self, trial: int, settings: Mapping[str, Value], reward: Reward) -> bool:
        """Keep a reward; whether it has a value."""
        if reward.value is None:
            return False
        self._drop(trial)
        self._keep(Row(trial, settings, reward.value))
        if len(self._rows) > self._kept:
            self._drop(next(iter(self._rows)))
        return True

    def known(self) -> Known:
        """All points and rewards."""
        points, count = self._points.values(), len(self._points)
        u = np.array([point.u for point in points]).reshape(count, self._encoding.continuous)
        c = np.array([point.c for point in points], dtype=np.int64).reshape(count, len(self._encoding.sizes))
        return Known(Points(u, c), np.array([row.value for row in self._rows.values()]))

    def recommend(self) -> Mapping[str, Value] | None:
        """The settings whose neighbourhood is worth most, the first where several are; None before a reward."""
        if not self._rows:
            return None
        return self.rows[int(np.argmax(levels(self.known())))].settings

    def state(self) -> list[Value]:
        """All of it as JSON values."""
        rows: list[Value] = msgspec.to_builtins(self.rows)
        return rows

    def load(self, state: Value) -> None:
        """Take over a `state`; raises ValueError where it is none."""
        rows = msgspec.convert(state, list[Row])
        self._rows, self._points = {}, {}
        for row in rows:
            self._keep(row)

    def _keep(self, row: Row) -> None:
        self._rows[row.trial] = row
        self._points[row.trial] = self._encoding.encode(row.settings)

    def _drop(self, trial: int) -> None:
        self._rows.pop(trial, None)
        self._points.pop(trial, None)


def levels(known: Known) -> Floats:
    """What each point is worth by its own reward and those of its neighbours (Nadaraya-Watson, drawn to the mean).

    One lucky draw among bad neighbours loses to a good one among good neighbours.
    """
    mean = known.values.mean()
    weights = closeness(known.points)
    return np.asarray(mean + weights @ (known.values - mean) / (weights.sum(axis=1) + PRIOR))


def closeness(points: Points) -> Floats:
    """How much each point's reward tells about each other's: 1 for its own, less with the distance."""
    u, c = points
    squares = ((u[:, None] - u[None]) ** 2).sum(axis=2) / max(1.0, u.shape[1] / 2)
    differ: Ints = (c[:, None] != c[None]).any(axis=2)
    return np.asarray(np.exp(-0.5 * squares / REACH**2) * np.where(differ, OTHER_CHOICE, 1.0))
