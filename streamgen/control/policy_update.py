"""How a policy learns, in JAX: the network of `policy.py` in Flax, two objectives, and some steps of Adam.

Imported in a worker thread alone: JAX takes a second to load, and the first call a second or two to compile.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from streamgen.control.policy import HIDDEN, Parameters, Shape, empty
from streamgen.control.policy_batch import Batch, Objective, batch_of

WIDEST = 0.6  # standard deviations of a coordinate: wider ones mostly end at the borders
RATIO_LIMIT = 10.0  # in logarithms, before exp
VALUE_WEIGHT = 0.5  # of the value's squared error (Schulman et al. 2017)


class Likelihood(NamedTuple):
    """Of each row: how likely its action is, the entropy there, and the value expected."""

    log_probability: jax.Array
    entropy: jax.Array
    value: jax.Array


@cache
def compiled(shape: Shape, objective: Objective, rows: int) -> Callable[[Parameters, Batch], Parameters]:
    """The update of a policy: `steps` steps of Adam on a batch of `rows` rows. Compiled once for all who ask alike."""
    network = network_of(shape)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(objective.learning_rate, eps=1e-3))
    loss = jax.grad(_clipped_surrogate if objective.proximal else _weighted_likelihood)

    def step(carry: Any, _: None) -> tuple[Any, None]:
        parameters, moments, batch = carry
        gradient = loss(parameters, batch, network, shape, objective)
        changes, moments = optimizer.update(gradient, moments, parameters)
        return (_bounded(optax.apply_updates(parameters, changes), shape, objective), moments, batch), None

    def update(parameters: Parameters, batch: Batch) -> Any:
        begun = (parameters, optimizer.init(parameters), batch)
        return jax.lax.scan(step, begun, None, length=objective.steps)[0][0]

    fast = jax.jit(update)

    def updated(parameters: Parameters, batch: Batch) -> Parameters:
        after: Parameters = jax.tree.map(np.asarray, fast(parameters, batch))
        return after

    updated(empty(shape), batch_of([], [], shape, rows))
    return updated


def network_of(shape: Shape) -> nn.Sequential:
    """Inputs to means, logits and a value: one hidden layer."""
    return nn.Sequential([nn.Dense(HIDDEN), nn.tanh, nn.Dense(shape.outputs)])


def _weighted_likelihood(
    parameters: Parameters, batch: Batch, network: nn.Sequential, shape: Shape, objective: Objective
) -> jax.Array:
    """REINFORCE on all rewards that are kept, each weighted by how likely its action has become since.

    Ratios are cut at `clip` and carry no gradient, as V-trace's (Espeholt et al. 2018): a late reward counts at most
    as much as a fresh one. The advantages come with the global baseline taken off.
    """
    seen = _likelihood(parameters, batch, network, shape)
    ratio = jnp.exp(jnp.clip(seen.log_probability - batch.behaviour, -RATIO_LIMIT, RATIO_LIMIT))
    weights = jax.lax.stop_gradient(jnp.minimum(ratio, objective.clip)) * batch.advantage
    weights = weights / (jnp.abs(weights).sum() + 1e-9)
    return -jnp.sum(weights * seen.log_probability) - objective.entropy * _mean(seen.entropy, batch)


def _clipped_surrogate(
    parameters: Parameters, batch: Batch, network: nn.Sequential, shape: Shape, objective: Objective
) -> jax.Array:
    """PPO's objective, with the value as the baseline (Schulman et al. 2017, equation 9); a trial is an episode."""
    seen = _likelihood(parameters, batch, network, shape)
    ratio = jnp.exp(jnp.clip(seen.log_probability - batch.behaviour, -RATIO_LIMIT, RATIO_LIMIT))
    advantage = jax.lax.stop_gradient(batch.advantage - seen.value) * batch.used
    clipped = jnp.clip(ratio, 1 - objective.clip, 1 + objective.clip)
    gain = jnp.minimum(ratio * advantage, clipped * advantage)
    error = VALUE_WEIGHT * (seen.value - batch.advantage) ** 2
    return _mean(error - gain - objective.entropy * seen.entropy, batch)


def _likelihood(parameters: Parameters, batch: Batch, network: nn.Sequential, shape: Shape) -> Likelihood:
    layers = {"layers_0": parameters["hidden"], "layers_2": parameters["head"]}
    outputs = jnp.asarray(network.apply({"params": layers}, batch.inputs))
    log_deviation = parameters["log_deviation"]
    normal = (batch.place - outputs[:, : shape.continuous]) / jnp.exp(log_deviation)
    log_place = -0.5 * normal**2 - log_deviation - 0.5 * jnp.log(2 * jnp.pi)
    total = (log_place * batch.placed).sum(axis=1)
    entropy = (log_deviation * batch.placed).sum(axis=1)
    start = shape.continuous
    for column, size in enumerate(shape.sizes):
        log_shares = nn.log_softmax(outputs[:, start : start + size])
        chosen = jnp.take_along_axis(log_shares, batch.choice[:, column, None], axis=1)[:, 0]
        total += chosen * batch.chosen[:, column]
        entropy -= (jnp.exp(log_shares) * log_shares).sum(axis=1) * batch.chosen[:, column]
        start += size
    return Likelihood(total, entropy, outputs[:, -1])


def _mean(values: jax.Array, batch: Batch) -> jax.Array:
    return jnp.sum(values * batch.used) / jnp.sum(batch.used)


def _bounded(parameters: Parameters, shape: Shape, objective: Objective) -> Parameters:
    """Means within the range, and deviations between the least that still explores and the widest."""
    low, high = jnp.log(objective.least_spread), jnp.log(WIDEST)
    bias = parameters["head"]["bias"]
    bias = bias.at[: shape.continuous].set(jnp.clip(bias[: shape.continuous], 0.0, 1.0))
    head = {**parameters["head"], "bias": bias}
    return {**parameters, "head": head, "log_deviation": jnp.clip(parameters["log_deviation"], low, high)}
