"""What the surrogate was told: settings as points, the state they met, and what they brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from streamgen.control.agent import Reward
from streamgen.control.encoding import Encoding, Floats, Points
from streamgen.control.gaussian_process import Inputs
from streamgen.record import Value

KEPT = 150  # rewards: the cost of a suggestion grows with their square, and old ones are half forgotten


class Told(msgspec.Struct, frozen=True):
    """One reward; a failed batch has no value. `trial` is -1 for what an earlier run has learned."""

    trial: int
    u: list[float]
    c: list[int]
    state: list[float]
    time: float
    value: float | None
    n: int


class Evidence:
    """The last rewards in the order told; a trial's newest stands for all of its own."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self.rows: list[Told] = []
        self.count = 0  # of all that was ever told: what happened in the same order has the same number

    def add(self, trial: int, settings: Mapping[str, Value], state: Sequence[float], reward: Reward) -> None:
        """Keep a reward."""
        point = self._encoding.encode(settings)
        told = Told(
            trial, point.u.tolist(), point.c.tolist(), list(state), float(max(trial, 0)), reward.value, reward.n
        )
        others = [row for row in self.rows if trial < 0 or row.trial != trial]
        self.rows = [*others[1 - KEPT :], told]
        self.count += 1

    @property
    def worked(self) -> list[Told]:
        """The rewards that have a value."""
        return [row for row in self.rows if row.value is not None]

    @property
    def states(self) -> int:
        """How many numbers tell the state: as many as with the newest reward."""
        return len(self.worked[-1].state) if self.worked else 0

    def points(self, rows: Sequence[Told]) -> Points:
        """The rows' settings."""
        u = np.array([row.u for row in rows], dtype=np.float64).reshape(len(rows), self._encoding.continuous)
        return Points(
            u, np.array([row.c for row in rows], dtype=np.int64).reshape(len(rows), len(self._encoding.sizes))
        )

    def inputs(self, rows: Sequence[Told]) -> Inputs:
        """The rows' settings, states and times; a state that is not known (of an earlier run) is the mean of all."""
        known = [row.state for row in rows if len(row.state) == self.states]
        mean = np.mean(known, axis=0).tolist() if known else []
        state = np.array([row.state if len(row.state) == self.states else mean for row in rows], dtype=np.float64)
        state = state.reshape(len(rows), self.states)
        points = self.points(rows)
        return Inputs(np.hstack([points.u, state]), points.c, np.array([row.time for row in rows]))


def standardised(values: Floats) -> Floats:
    """Rewards with mean 0 and variance 1; one or two rewards do not tell the spread, a tenth of their size is taken."""
    floor = (0.1 if len(values) < 3 else 1e-3) * float(np.abs(values).mean())
    return np.asarray((values - values.mean()) / (max(float(values.std()), floor) or 1.0))


def noise_of(rows: Sequence[Told]) -> Floats:
    """Each reward's share of the noise: half as many records have twice the variance."""
    sizes = np.array([max(row.n, 1) for row in rows], dtype=np.float64)
    return np.asarray(np.exp(np.log(sizes).mean()) / sizes)
