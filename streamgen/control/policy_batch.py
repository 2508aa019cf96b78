"""What a policy learns from at once: rewards and the actions that earned them, in arrays of a fixed length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from streamgen.control.policy import Shape


class Objective(NamedTuple):
    """How a policy learns; all that its compiled update depends on beside the shape."""

    proximal: bool
    learning_rate: float
    steps: int
    clip: float
    entropy: float
    least_spread: float


class Experience(msgspec.Struct, frozen=True):
    """One reward: what was observed, where the policy went, what of it counted, and how likely that was."""

    inputs: list[float]
    place: list[float]
    choice: list[int]
    placed: list[bool]
    chosen: list[bool]
    behaviour: float
    value: float


class Batch(NamedTuple):
    """Experiences in rows; rows that are not `used` are all 0."""

    inputs: npt.NDArray[np.float32]
    place: npt.NDArray[np.float32]
    choice: npt.NDArray[np.int32]
    placed: npt.NDArray[np.float32]
    chosen: npt.NDArray[np.float32]
    behaviour: npt.NDArray[np.float32]
    advantage: npt.NDArray[np.float32]
    used: npt.NDArray[np.float32]


def batch_of(experiences: Sequence[Experience], advantage: Sequence[float], shape: Shape, rows: int) -> Batch:
    """The experiences, filled up to `rows` rows."""
    choices = len(shape.sizes)
    batch = Batch(
        np.zeros((rows, shape.inputs), np.float32),
        np.zeros((rows, shape.continuous), np.float32),
        np.zeros((rows, choices), np.int32),
        np.zeros((rows, shape.continuous), np.float32),
        np.zeros((rows, choices), np.float32),
        np.zeros(rows, np.float32),
        np.zeros(rows, np.float32),
        np.zeros(rows, np.float32),
    )
    for row, (each, gain) in enumerate(zip(experiences, advantage, strict=True)):
        batch.inputs[row], batch.place[row], batch.choice[row] = each.inputs, each.place, each.choice
        batch.placed[row], batch.chosen[row] = each.placed, each.chosen
        batch.behaviour[row], batch.advantage[row], batch.used[row] = each.behaviour, gain, 1.0
    return batch
