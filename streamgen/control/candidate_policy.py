"""The candidate policy in NumPy: a small network scores candidate settings by what the surrogate says of them.

This is the forward pass, which does the acting; `candidate_update.py` has the same network in Flax, and its learning.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamgen.control.encoding import Floats
from streamgen.control.features import CHANCE, DEVIATION, FEATURES, GAP, RANGE
from streamgen.control.policy import Parameters

HIDDEN = 24
WEIGHTS = Path(__file__).with_name("weights") / "candidate.npz"
BOLDNESS = 1.4
"""Standard deviations that count as much as a mean, before anything is learned: an upper confidence bound."""
SHARPNESS = 50.0
"""How much likelier a candidate is whose score is a standard deviation of rewards higher, as a logarithm."""


def prior(rng: np.random.Generator) -> Parameters:
    """A policy that follows the upper confidence bound: the last layer is 0, whatever the first ones are."""
    return {
        "first": _layer(FEATURES, HIDDEN, rng),
        "second": _layer(HIDDEN, HIDDEN, rng),
        "head": {"kernel": np.zeros((HIDDEN, 2), np.float32), "bias": np.zeros(2, np.float32)},
        "log_sharpness": np.array([np.log(SHARPNESS)], np.float32),
    }


def scores(parameters: Parameters, features: Floats) -> Floats:
    """What each candidate is worth, in standard deviations of rewards (candidates,)."""
    x = features.astype(np.float32)
    for layer in ("first", "second"):
        x = np.tanh(x @ parameters[layer]["kernel"] + parameters[layer]["bias"])
    change = x @ parameters["head"]["kernel"] + parameters["head"]["bias"]
    bound = features[:, GAP] + (BOLDNESS + change[:, 1]) * features[:, DEVIATION] + change[:, 0]
    # What is above the worst reward is had only where the batch does not fail.
    return np.asarray((bound + features[:, RANGE]) * features[:, CHANCE] - features[:, RANGE], dtype=np.float64)


def log_shares(parameters: Parameters, values: Floats) -> Floats:
    """The logarithm of how likely each candidate of these scores is."""
    logits = float(np.exp(parameters["log_sharpness"][0])) * (values - values.max())
    return np.asarray(logits - np.log(np.exp(logits).sum()))


def shipped() -> Parameters:
    """The meta-trained policy; `weights/candidate.json` says where it comes from."""
    return load(WEIGHTS)


def load(path: str | Path) -> Parameters:
    """The policy of a file."""
    with np.load(path) as arrays:
        return unflattened({name: arrays[name] for name in arrays.files})


def flattened(parameters: Parameters) -> dict[str, Floats]:
    """The arrays by `layer/name`, as the file holds them."""
    found: dict[str, Floats] = {}
    for name, value in parameters.items():
        parts = {f"{name}/{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
        found.update({key: np.asarray(each, np.float32) for key, each in parts.items()})
    return found


def unflattened(arrays: dict[str, Floats]) -> Parameters:
    """The parameters of `flattened`."""
    parameters: Parameters = {}
    for name, array in arrays.items():
        layer, _, key = name.partition("/")
        if key:
            parameters.setdefault(layer, {})[key] = array
        else:
            parameters[layer] = array
    return parameters


def _layer(inputs: int, outputs: int, rng: np.random.Generator) -> Parameters:
    kernel = rng.standard_normal((inputs, outputs)) / np.sqrt(inputs)
    return {"kernel": kernel.astype(np.float32), "bias": np.zeros(outputs, np.float32)}
