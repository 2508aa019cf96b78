"""What the candidate policy goes on learning from in a run: choices among candidates, and what they brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from streamgen.control.encoding import Floats
from streamgen.control.features import FEATURES, beside
from streamgen.record import Value

LISTED = 16
"""Candidates that the policy draws from."""
WINDOW = 64
"""Choices that it learns from."""
NEIGHBOURS = 4
"""Rewards before and after one that are its baseline: a search gets better by itself, whatever the policy likes."""


class Objective(NamedTuple):
    """How the policy goes on learning; see `candidate_update.py`."""

    learning_rate: float
    steps: int
    clip: float
    anchor: float


class Choice(msgspec.Struct, frozen=True):
    """What the policy saw of the candidates, which it took, how likely that was, and the reward."""

    own: list[list[float]]
    among: list[float]
    taken: int
    behaviour: float
    value: float

    @classmethod
    def of(cls, shown: Mapping[str, Value], behaviour: float, value: float) -> Choice:
        """From what was noted when it was taken."""
        return msgspec.convert({**shown, "behaviour": behaviour, "value": value}, cls)


class Choices(NamedTuple):
    """Choices in rows; what is not used is 0."""

    features: npt.NDArray[np.float32]  # (rows, candidates, FEATURES)
    offered: npt.NDArray[np.float32]  # (rows, candidates) 1 or 0
    taken: npt.NDArray[np.int32]
    behaviour: npt.NDArray[np.float32]
    advantage: npt.NDArray[np.float32]


def choices_of(kept: Sequence[Choice]) -> Choices:
    """The last choices, filled up to `WINDOW` rows, with the advantage of each reward over its neighbours."""
    rows = Choices(
        np.zeros((WINDOW, LISTED, FEATURES), np.float32),
        np.zeros((WINDOW, LISTED), np.float32),
        np.zeros(WINDOW, np.int32),
        np.zeros(WINDOW, np.float32),
        np.zeros(WINDOW, np.float32),
    )
    rows.offered[:, 0] = 1.0
    last = kept[-WINDOW:]
    for row, (choice, gain) in enumerate(zip(last, advantages(np.array([each.value for each in last])), strict=True)):
        count = len(choice.own)
        rows.features[row, :count] = beside(np.array(choice.own), np.array(choice.among), np)
        rows.offered[row, :count] = 1.0
        rows.taken[row], rows.behaviour[row], rows.advantage[row] = choice.taken, choice.behaviour, gain
    return rows


def advantages(values: Floats) -> Floats:
    """Each reward less the mean of its neighbours, in standard deviations of all."""
    spread = values.std() if len(values) else 0.0
    if spread == 0:
        return np.zeros(len(values))
    near = [
        np.delete(values[max(0, i - NEIGHBOURS) : i + NEIGHBOURS + 1], min(i, NEIGHBOURS)) for i in range(len(values))
    ]
    return np.array([(value - others.mean()) / spread for value, others in zip(values, near, strict=True)])
