"""A stochastic policy in NumPy: a Normal for each coordinate, a categorical for each choice, given what is observed.

This is the forward pass, which does all the acting; `policy_update.py` has the same network in Flax, and its learning.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from streamgen.control.agent import Observation
from streamgen.control.encoding import Encoding, Flags, Floats, Ints
from streamgen.control.parameters import Simplex
from streamgen.control.space import Space

Parameters: TypeAlias = dict[str, Any]
"""Arrays by layer, as Flax names them: msgspec and NumPy know no narrower type of a tree."""

HIDDEN = 16
EDGE = 1e-4  # how near to 0 and 1 a uniform draw may come: 3.7 standard deviations
SHARES_SPREAD = 0.6  # of the spread of a lone coordinate: shares of a few parts vary less


class Shape(NamedTuple):
    """What a policy's network takes and gives."""

    inputs: int
    continuous: int
    sizes: tuple[int, ...]

    @property
    def outputs(self) -> int:
        """Means, logits and the value, in this order."""
        return self.continuous + sum(self.sizes) + 1


class Heads(NamedTuple):
    """What the policy says in one situation."""

    mean: Floats
    deviation: Floats
    shares: list[Floats]  # of each choice's values


class Action(NamedTuple):
    """Where the policy went, before snapping, and how likely that was by each coordinate and choice."""

    place: Floats
    choice: Ints
    log_place: Floats
    log_choice: Floats

    def log_probability(self, known: tuple[Flags, Flags]) -> float:
        """The logarithm of the density, of what has a value in the settings alone."""
        return float(self.log_place[known[0]].sum() + self.log_choice[known[1]].sum())


class View:
    """What a policy looks at: how far the run is, and how much there is of each part of the space's simplexes."""

    def __init__(self, space: Space) -> None:
        simplexes = [parameter for parameter in space.values() if isinstance(parameter, Simplex)]
        self._parts = sorted({part for simplex in simplexes for part in simplex.parts})

    @property
    def inputs(self) -> int:
        """How many numbers `numbers` gives."""
        return 3 + 3 * len(self._parts)

    def numbers(self, observation: Observation) -> list[float]:
        """The observation as the network's input; what nothing is known of is 0."""
        per_part = (observation.coverage, observation.deficit, observation.errors)
        seen = [known.get(part, 0.0) for known in per_part for part in self._parts]
        return [observation.saturation, 1 - observation.acceptance, 1 - observation.budget_left, *seen]


def empty(shape: Shape) -> Parameters:
    """Parameters that are all 0."""
    return {
        "hidden": {"kernel": _zeros(shape.inputs, HIDDEN), "bias": _zeros(HIDDEN)},
        "head": {"kernel": _zeros(HIDDEN, shape.outputs), "bias": _zeros(shape.outputs)},
        "log_deviation": _zeros(shape.continuous),
    }


def initial(shape: Shape, encoding: Encoding, spread: float, rng: np.random.Generator) -> Parameters:
    """A policy that goes everywhere, whatever it observes: the last layer's weights are 0."""
    parameters, middle = empty(shape), encoding.encode({}).u
    parameters["hidden"]["kernel"][:] = rng.standard_normal((shape.inputs, HIDDEN)) / np.sqrt(shape.inputs)
    parameters["head"]["bias"][: shape.continuous] = middle
    parameters["log_deviation"][:] = np.log(spread * np.where(encoding.is_share, SHARES_SPREAD, 1.0))
    return parameters


def forward(parameters: Parameters, shape: Shape, inputs: list[float]) -> Heads:
    """What the policy says for these inputs."""
    x = np.array(inputs, dtype=np.float32)
    hidden = np.tanh(x @ parameters["hidden"]["kernel"] + parameters["hidden"]["bias"])
    outputs = (hidden @ parameters["head"]["kernel"] + parameters["head"]["bias"]).astype(np.float64)
    ends = shape.continuous + np.cumsum(shape.sizes, dtype=np.int64)
    logits = np.split(outputs[shape.continuous : -1], ends[:-1] - shape.continuous) if shape.sizes else []
    deviation = np.exp(parameters["log_deviation"].astype(np.float64))
    return Heads(outputs[: shape.continuous], deviation, [_softmax(each) for each in logits])


def act(heads: Heads, uniform: list[float]) -> Action:
    """The action that uniform draws from [0, 1) stand for, a coordinate's or a choice's each (inverse transform).

    Draws of low discrepancy spread the first actions evenly: with independent ones the regret after 30 batches was a
    third higher in the geometric mean over seven families of problems.
    """
    count = len(heads.mean)
    draws = [min(max(place, EDGE), 1 - EDGE) for place in uniform]
    normal = np.array([NormalDist().inv_cdf(place) for place in draws[:count]])
    choice = [
        min(int(np.searchsorted(np.cumsum(shares), place)), len(shares) - 1)
        for shares, place in zip(heads.shares, draws[count:], strict=True)
    ]
    log_place = -0.5 * normal**2 - np.log(heads.deviation) - 0.5 * np.log(2 * np.pi)
    log_choice = [float(np.log(shares[index])) for shares, index in zip(heads.shares, choice, strict=True)]
    return Action(
        heads.mean + heads.deviation * normal, np.array(choice, dtype=np.int64), log_place, np.array(log_choice)
    )


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def _zeros(*shape: int) -> npt.NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)
