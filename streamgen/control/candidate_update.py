"""The candidate policy in Flax, and how it goes on learning from a run's own rewards."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from streamgen.control.candidate_learning import Choices, Objective
from streamgen.control.candidate_policy import BOLDNESS, HIDDEN
from streamgen.control.features import CHANCE, DEVIATION, GAP, RANGE
from streamgen.control.policy import Parameters

RATIO_LIMIT = 10.0  # in logarithms, before exp


class Scorer(nn.Module):
    """Features (..., FEATURES) to scores (...)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The same numbers as `candidate_policy.scores`."""
        h = nn.tanh(nn.Dense(HIDDEN, name="first")(x))
        h = nn.tanh(nn.Dense(HIDDEN, name="second")(h))
        change = nn.Dense(2, kernel_init=nn.initializers.zeros, name="head")(h)
        bound = x[..., GAP] + (BOLDNESS + change[..., 1]) * x[..., DEVIATION] + change[..., 0]
        return (bound + x[..., RANGE]) * x[..., CHANCE] - x[..., RANGE]


def logits(parameters: Parameters, features: Any) -> jax.Array:
    """The logarithms of how likely candidates are, but for a constant (..., candidates)."""
    layers = {name: parameters[name] for name in ("first", "second", "head")}
    score = jnp.asarray(Scorer().apply({"params": layers}, features))
    return jnp.exp(parameters["log_sharpness"][0]) * score


def update_from(
    anchor: Parameters, objective: Objective, empty: Choices
) -> Callable[[Parameters, Choices], Parameters]:
    """The update, which holds the policy near the anchor; compiled for choices of the shape of `empty`."""
    fast = _compiled(objective)

    def updated(parameters: Parameters, choices: Choices) -> Parameters:
        after: Parameters = jax.tree.map(np.asarray, fast(parameters, anchor, choices))
        return after

    updated(anchor, empty)
    return updated


@cache
def _compiled(objective: Objective) -> Any:
    """`steps` steps of gradient descent; one for all who ask alike."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(objective.learning_rate))

    def update(parameters: Parameters, anchor: Parameters, choices: Choices) -> Any:
        def step(carry: Any, _: None) -> tuple[Any, None]:
            now, state = carry
            changes, state = optimizer.update(jax.grad(_loss)(now, anchor, choices, objective), state, now)
            return (optax.apply_updates(now, changes), state), None

        return jax.lax.scan(step, (parameters, optimizer.init(parameters)), None, length=objective.steps)[0][0]

    return jax.jit(update)


def _loss(parameters: Parameters, anchor: Parameters, choices: Choices, objective: Objective) -> jax.Array:
    """REINFORCE on all choices that are kept, each weighted by how likely it has become since, at most `clip`.

    The squared distance to the anchor keeps a run's few rewards from undoing what thousands of problems taught.
    """
    shown = jnp.where(choices.offered > 0, logits(parameters, choices.features), -jnp.inf)
    log_shares = nn.log_softmax(shown)
    taken = jnp.take_along_axis(log_shares, choices.taken[:, None], axis=1)[:, 0]
    ratio = jnp.exp(jnp.clip(taken - choices.behaviour, -RATIO_LIMIT, RATIO_LIMIT))
    weights = jax.lax.stop_gradient(jnp.minimum(ratio, objective.clip)) * choices.advantage
    gain = jnp.sum(weights * taken) / (jnp.abs(weights).sum() + 1e-9)
    away = sum(jnp.sum((a - b) ** 2) for a, b in zip(*map(jax.tree.leaves, (parameters, anchor)), strict=True))
    return -gain + objective.anchor * away
