"""REINFORCE on simulated problems, with the mean of a problem's group as the baseline."""

from __future__ import annotations

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
from streamgen.control.candidate_policy import SHARPNESS, prior
from streamgen.control.candidate_update import logits
from streamgen.control.policy import Parameters

HELD_OUT = 10**6
"""The seed of the problems that the curve is measured on."""
BATCHES = 30
AT_ONCE = 100
EVERY = 80
"""Updates between two points of the learning curve."""
LEAST = 0.02
"""Regrets below this are as good as none."""


class Plan(msgspec.Struct, frozen=True):
    """How long, on what, and how the policy is taught: the same plan on the same machine gives the same weights."""

    updates: int = 400
    seed: int = 0
    particles: int = 64
    problems: int = 24
    group: int = 5
    horizons: tuple[int, ...] = (15, 30, 45)
    learning_rate: float = 3e-3
    discount: float = 0.9
    sharpness: float = 10.0
    """Of the policy while it learns: one that is not sure of its choices shows sooner which are better."""
    passes: int = 2
    clip: float = 0.2
    recommended: float = 1.0
    """How much the regret of the recommendation counts beside that of the batches, both relative to the group's."""


class Score(msgspec.Struct, frozen=True):
    """Regrets over held-out problems (a random point's is 1): of the batches, of the recommendation, and of both.

    `both` is the geometric mean of the two over all problems, `half` half of its 95 % interval.
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
    """The policy as it learns, as it would act, with its score on held-out problems; the first before any update."""
    started = time.monotonic()
    bank = banks(plan.particles, plan.seed)
    parameters: Any = {**prior(np.random.default_rng(plan.seed)), "log_sharpness": _log(plan.sharpness)}
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(plan.learning_rate))
    state = optimizer.init(parameters)
    update = jax.jit(partial(_updated, optimizer=optimizer, plan=plan))
    play = jax.jit(partial(episodes, greedy=False))
    updates, rng = 0, np.random.default_rng(plan.seed)
    yield Progress(updates, time.monotonic() - started, score(parameters, bank)), _acting(parameters)
    while updates < plan.updates:
        trials = int(rng.choice(plan.horizons))
        steps = play(parameters, bank, luck(rng, plan.problems, plan.group, trials))
        for _ in range(plan.passes):
            parameters, state = update(parameters, state, steps)
        updates += 1
        if updates % EVERY == 0 or updates == plan.updates:
            yield Progress(updates, time.monotonic() - started, score(parameters, bank)), _acting(parameters)


def _updated(parameters: Any, state: Any, steps: Steps, optimizer: Any, plan: Plan) -> tuple[Any, Any]:
    gain = advantages(steps, plan)
    gradient = jax.grad(_loss)(parameters, steps, gain, plan)
    gradient = {**gradient, "log_sharpness": jnp.zeros(1)}
    change, state = optimizer.update(gradient, state, parameters)
    return optax.apply_updates(parameters, change), state


def advantages(steps: Steps, plan: Plan) -> jax.Array:
    """How much better an episode went on than its group's mean, in shares of the group's regret.

    Relative regrets make an easy problem count as much as a hard one, as in a geometric mean. What is due to what was
    known before the choice, not to the choice, is taken off.
    """
    trials = steps.value.shape[1]
    shape = (plan.problems, plan.group, trials)
    value, recommended = steps.value.reshape(shape), steps.recommended.reshape(shape)
    # Drift may lift a problem's best above the 1 that it began with.
    best = jnp.maximum(value.max((1, 2), keepdims=True), 1.0)
    online, simple = best - value, best - recommended
    after = jnp.concatenate([simple[:, :, 1:], simple[:, :, -1:]], axis=2)
    cost = online / (online.mean((1, 2), keepdims=True) + 0.05)
    cost += plan.recommended * after / (simple[:, :, trials // 2 :].mean((1, 2), keepdims=True) + 0.05)
    gain = -_centred(_to_go(cost, plan.discount))
    known = [recommended, _before(value)]
    gain = _unexplained(gain.reshape(-1, trials), [_centred(each).reshape(-1, trials) for each in known])
    return jnp.clip(gain / (gain.std() + 1e-6), -4.0, 4.0)


def _centred(values: jax.Array) -> jax.Array:
    """Less the mean of the group."""
    return values - values.mean(1, keepdims=True)


def _to_go(values: jax.Array, discount: float) -> jax.Array:
    """The discounted sum of this and all later ones."""

    def step(total: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
        total = value + discount * total
        return total, total

    return jnp.moveaxis(jax.lax.scan(step, values[..., 0] * 0, jnp.moveaxis(values, -1, 0), reverse=True)[1], 0, -1)


def _before(values: jax.Array) -> jax.Array:
    """The best that was reached before each trial."""
    reached = jax.lax.cummax(values, axis=2)
    return jnp.concatenate([reached[:, :, :1] * 0, reached[:, :, :-1]], axis=2)


def _unexplained(gain: jax.Array, known: list[jax.Array]) -> jax.Array:
    """What a line through the known numbers, trial by trial, leaves of the gain."""
    columns = jnp.stack(known, -1)  # (episodes, trials, numbers)
    squares = jnp.einsum("eti,etj->tij", columns, columns) + 1e-3 * jnp.eye(len(known))
    slopes = jnp.linalg.solve(squares, jnp.einsum("eti,et->ti", columns, gain)[..., None])[..., 0]
    return gain - jnp.einsum("eti,ti->et", columns, slopes)


def _acting(parameters: Parameters) -> Parameters:
    return {**parameters, "log_sharpness": _log(SHARPNESS)}


def _log(sharpness: float) -> npt.NDArray[np.float32]:
    return np.log(np.array([sharpness], np.float32))


def _loss(parameters: Parameters, steps: Steps, gain: jax.Array, plan: Plan) -> jax.Array:
    """The clipped surrogate of the policy gradient (Schulman et al. 2017)."""
    log_shares = jax.nn.log_softmax(logits(parameters, steps.features))
    likely = jnp.take_along_axis(log_shares, steps.taken[..., None], -1)[..., 0]
    ratio = jnp.exp(likely - steps.likely)
    clipped = jnp.clip(ratio, 1 - plan.clip, 1 + plan.clip)
    return -(jnp.minimum(ratio * gain, clipped * gain) * steps.decided).sum() / steps.decided.sum()


def score(parameters: Parameters, bank: Bank, problems: int = 600) -> Score:
    """How good a policy is that takes what it likes best, on problems that training never draws."""
    rng = np.random.default_rng(HELD_OUT)
    found = [_judged(parameters, bank, luck(rng, AT_ONCE, 1, BATCHES)) for _ in range(problems // AT_ONCE)]
    online, simple = np.hstack([np.asarray(each) for each in found])
    logs = (np.log(np.maximum(online, LEAST)) + np.log(np.maximum(simple, LEAST))) / 2
    both = float(np.exp(logs.mean()))
    half = both * 1.96 * float(logs.std()) / np.sqrt(len(logs))
    return Score(float(online.mean()), float(simple.mean()), both, float(half))


@jax.jit
def _judged(parameters: Parameters, bank: Bank, drawn: Luck) -> jax.Array:
    steps = episodes(parameters, bank, drawn, greedy=True)
    regrets = jnp.maximum(1 - steps.value, 0.0).mean(1), jnp.maximum(1 - steps.recommended[:, -1], 0.0)
    return jnp.stack(regrets)
