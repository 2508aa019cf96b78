"""REINFORCE on simulated problems, over the policy's parameters.

An episode's regret says little about any one of its choices: with the gradient of each choice's probability, and the
mean of a problem's episodes as the baseline, the policy got no better in thousands of episodes. Here it is the
parameters that are drawn (policy gradients with parameter-based exploration, Sehnke et al. 2010): two episodes on one
problem, with the same luck, by parameters on either side of the mean, tell which side is better.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import numpy.typing as npt
import optax

from benchmarks.meta_training.episodes import Luck, Steps, episodes, luck
from benchmarks.meta_training.process import Bank, banks
from streamgen.control.candidate_policy import prior
from streamgen.control.policy import Parameters

HELD_OUT = 10**6
"""The seed of the problems that the curve is measured on."""
BATCHES = 30
AT_ONCE = 100
EVERY = 50
"""Updates between two points of the learning curve."""


class Plan(msgspec.Struct, frozen=True):
    """How long, on what, and how the policy is taught: the same plan on the same machine gives the same weights."""

    updates: int = 400
    seed: int = 0
    particles: int = 64
    pairs: int = 64
    """Of episodes, each on a problem of its own."""
    learning_rate: float = 0.006
    """At first; it falls to nothing as a cosine, so that the last updates average what was learned."""
    spread: tuple[float, float] = (0.1, 0.3)
    """Standard deviations of the parameters of the last layer: what they add to a score, and to the boldness."""
    late: int = 10
    """The recommendation is judged after each of the last so many batches."""


class Score(msgspec.Struct, frozen=True):
    """Mean regrets over held-out problems (a random point's is 1): of the batches, of the recommendation, and of both.

    `both` is the geometric mean of the two, `half` half of its 95 % interval.
    """

    online: float
    simple: float
    both: float
    half: float


class Progress(msgspec.Struct, frozen=True):
    """A point of the learning curve."""

    updates: int
    seconds: float
    score: Score


def taught(plan: Plan) -> Iterator[tuple[Progress, Parameters]]:
    """The policy as it learns, with its score on held-out problems; the first before any update."""
    started, updates, rng = time.monotonic(), 0, np.random.default_rng(plan.seed)
    bank = banks(plan.particles, plan.seed)
    parameters: Any = prior(np.random.default_rng(plan.seed))
    optimizer = optax.adam(optax.cosine_decay_schedule(plan.learning_rate, plan.updates))
    state = optimizer.init(parameters["head"])
    update = jax.jit(partial(_updated, optimizer=optimizer, plan=plan))
    yield Progress(updates, time.monotonic() - started, score(parameters, bank)), parameters
    while updates < plan.updates:
        draws = jnp.asarray(rng.standard_normal((plan.pairs, *_shape(parameters))), jnp.float32)
        parameters, state = update(parameters, state, bank, luck(rng, plan.pairs, BATCHES), draws)
        updates += 1
        if updates % EVERY == 0 or updates == plan.updates:
            yield Progress(updates, time.monotonic() - started, score(parameters, bank)), parameters


def _shape(parameters: Parameters) -> tuple[int, int]:
    """Of the last layer: a row a hidden unit, and one for the bias."""
    hidden, outputs = parameters["head"]["kernel"].shape
    return hidden + 1, outputs


def _updated(
    parameters: Any, state: Any, bank: Bank, drawn: Luck, draws: jax.Array, optimizer: Any, plan: Plan
) -> tuple[Any, Any]:
    away = draws * jnp.array(plan.spread)
    up, down = (regrets(episodes(_moved(parameters, side * away), bank, drawn), plan.late) for side in (1, -1))
    change, state = optimizer.update(_layer(-gain(saved(up, down), draws, plan)), state, parameters["head"])
    return {**parameters, "head": optax.apply_updates(parameters["head"], change)}, state


def regrets(steps: Steps, late: int) -> jax.Array:
    """Of each episode: online, and of the recommendation after each of the last `late` batches (2, episodes).

    Nothing is lost where a value is above 1, the best that was found when the problem was scaled: with the highest
    value of the episode itself as the best, whoever discovered one would have been the worse for it.
    """
    parts = steps.value, steps.recommended[:, -late:]
    return jnp.stack([jnp.maximum(1 - part, 0.0).mean(1) for part in parts])


def saved(up: jax.Array, down: jax.Array) -> jax.Array:
    """How much less of both regrets there is upwards, each as a share of its mean over all problems (episodes,).

    That is the slope of the logarithm of the geometric mean of both mean regrets: a problem where all is lost counts
    for what is lost, and one that is as good as solved for nothing.
    """
    return ((down - up) / ((up + down).mean(1, keepdims=True) / 2 + 1e-6)).mean(0)


def gain(differences: jax.Array, draws: jax.Array, plan: Plan) -> jax.Array:
    """How much each parameter of the last layer gains by growing: draws (pairs, hidden + 1, 2), upwards less down."""
    return jnp.einsum("e,eho->ho", scaled(differences), draws) / len(draws) * jnp.array(plan.spread)


def scaled(differences: jax.Array) -> jax.Array:
    """Of the size of their own spread; a problem where all goes wrong on one side is not worth more than a few."""
    return jnp.clip(differences / (jnp.sqrt((differences**2).mean()) + 1e-6), -3.0, 3.0)


def _layer(columns: jax.Array) -> dict[str, jax.Array]:
    return {"kernel": columns[..., :-1, :], "bias": columns[..., -1, :]}


def _moved(parameters: Any, away: jax.Array) -> Any:
    """The policy of each episode."""
    same = jax.tree.map(lambda array: jnp.broadcast_to(array, (len(away), *array.shape)), parameters)
    return {**same, "head": jax.tree.map(jnp.add, same["head"], _layer(away))}


def score(parameters: Parameters, bank: Bank, problems: int = 600) -> Score:
    """How good a policy is on problems that training never draws."""
    rng = np.random.default_rng(HELD_OUT)
    found = [_judged(parameters, bank, luck(rng, AT_ONCE, BATCHES)) for _ in range(problems // AT_ONCE)]
    return scored(np.hstack([np.asarray(part) for part in found]))


def scored(found: npt.NDArray[np.floating[Any]]) -> Score:
    """The score of some episodes, from both regrets of each (2, episodes)."""
    online, simple = found.mean(1).tolist()
    both = math.sqrt(online * simple)
    shares = (found / found.mean(1, keepdims=True)).mean(0)
    return Score(online, simple, both, 1.96 * both * float(shares.std()) / math.sqrt(len(shares)))


@jax.jit
def _judged(parameters: Parameters, bank: Bank, drawn: Luck) -> jax.Array:
    return regrets(episodes(_moved(parameters, jnp.zeros((AT_ONCE, *_shape(parameters)))), bank, drawn), late=1)
