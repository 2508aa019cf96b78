"""What a tuning problem is: a world that can be looked at, played, and known exactly by the benchmark alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from streamgen.control.agent import Reward
from streamgen.control.space import Space
from streamgen.record import Value

Floats = npt.NDArray[np.float64]
Settings = Mapping[str, Value]


class State(NamedTuple):
    """What a world shows of itself before a batch, by class: nothing, where it has no state."""

    coverage: Mapping[str, float] = {}
    deficit: Mapping[str, float] = {}


class World(Protocol):
    """One problem of a family. `play` moves it a batch on; all else leaves it as it is."""

    space: Space

    def state(self) -> State:
        """What an agent may see now."""
        ...

    def best(self) -> float:
        """The highest mean reward that any settings have now."""
        ...

    def mean(self, settings: Settings) -> float:
        """The mean reward of these settings now: what a batch is worth without noise and failures."""
        ...

    def play(self, settings: Settings) -> Reward:
        """A batch's reward, with noise; a failed one has no value."""
        ...


def number(settings: Settings, name: str) -> float:
    """A numeric setting."""
    value = settings[name]
    assert isinstance(value, int | float)
    return float(value)


def text(settings: Settings, name: str) -> str:
    """A setting that names a choice."""
    value = settings[name]
    assert isinstance(value, str)
    return value
