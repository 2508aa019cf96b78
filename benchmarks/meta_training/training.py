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
import optax

from benchmarks.meta_training.episodes import Luck, Steps, episodes, luck
from benchmarks.meta_training.process import Bank, banks
from streamgen.control.candidate_policy import prior
from streamgen.control.candidate_update import logits
from streamgen.control.policy import Parameters

HELD_OUT = 10**6
"""The seed of the problems that the curve is measured on."""
BATCHES = 30
AT_ONCE = 100
EVERY = 40
"""Updates between two points of the learning curve."""
LEAST = 0.02
"""Regrets below this are as good as none."""


class Plan(msgspec.Struct, frozen=True):
    """How long, on what, and how the policy is taught: the same plan on the same machine gives the same weights."""

    updates: int = 400
    seed: int = 0
    particles: int = 64
    problems: int = 20
    group: int = 5
    horizons: tuple[int, ...] = (15, 30, 45)
    learning_rate: float = 3e-3
    passes: int = 2
    clip: float = 0.2
    entropy: float = 0.003
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
    """The policy as it learns, with its score on held-out problems, the first before any update."""
    started = time.monotonic()
    bank = banks(plan.particles, plan.seed)
    parameters: Any = prior(np.random.default_rng(plan.seed))
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(plan.learning_rate))
    state = optimizer.init(parameters)
    update = jax.jit(partial(_updated, optimizer=optimizer, plan=plan))
    play = jax.jit(partial(episodes, greedy=False))
    updates, rng = 0, np.random.default_rng(plan.seed)
    yield Progress(updates, time.monotonic() - started, score(parameters, bank)), parameters
    while updates < plan.updates:
        trials = int(rng.choice(plan.horizons))
        steps = play(parameters, bank, luck(rng, plan.problems, plan.group, trials))
        for _ in range(plan.passes):
            parameters, state = update(parameters, state, steps)
        updates += 1
        if updates % EVERY == 0 or updates == plan.updates:
            yield Progress(updates, time.monotonic() - started, score(parameters, bank)), parameters


def _updated(parameters: Any, state: Any, steps: Steps, optimizer: Any, plan: Plan) -> tuple[Any, Any]:
    gain = advantages(steps, plan)
    change, state = optimizer.update(jax.grad(_loss)(parameters, steps, gain, plan), state, parameters)
    return optax.apply_updates(parameters, change), state


def advantages(steps: Steps, plan: Plan) -> jax.Array:
    """How much better the rest of each episode was than its group's mean, in shares of the group's regret.

    Relative regrets make an easy problem count as much as a hard one, as in a geometric mean.
    """
    trials = steps.value.shape[1]
    shape = (plan.problems, plan.group, trials)
    value, recommended = steps.value.reshape(shape), steps.recommended.reshape(shape)
    # Drift may lift a problem's best above the 1 that it began with.
    best = jnp.maximum(value.max((1, 2), keepdims=True), 1.0)
    online, simple = best - value, best - recommended
    late = simple[:, :, trials // 2 :]
    online_share = online / (jnp.abs(online.mean((1, 2), keepdims=True)) + 0.05) / trials
    simple_share = plan.recommended * simple / (jnp.abs(late.mean((1, 2), keepdims=True)) + 0.03)
    # What is recommended after a choice counts from the next step on; the end counts as much as all the way there.
    weight = jnp.where(jnp.arange(trials) == trials - 1, 0.5, 0.5 / trials)
    rest = -_to_go(online_share) - (_to_go(simple_share * weight) - simple_share * weight)
    gain = (rest - rest.mean(1, keepdims=True)).reshape(-1, trials)
    return jnp.clip(gain / (gain.std() + 1e-6), -4.0, 4.0)


def _to_go(values: jax.Array) -> jax.Array:
    return jnp.flip(jnp.cumsum(jnp.flip(values, -1), -1), -1)


def _loss(parameters: Parameters, steps: Steps, gain: jax.Array, plan: Plan) -> jax.Array:
    """The clipped surrogate of the policy gradient, and the entropy."""
    log_shares = jax.nn.log_softmax(logits(parameters, steps.features))
    likely = jnp.take_along_axis(log_shares, steps.taken[..., None], -1)[..., 0]
    ratio = jnp.exp(likely - steps.likely)
    clipped = jnp.clip(ratio, 1 - plan.clip, 1 + plan.clip)
    entropy = -(jnp.exp(log_shares) * log_shares).sum(-1)
    total = jnp.minimum(ratio * gain, clipped * gain) + plan.entropy * entropy
    return -(total * steps.decided).sum() / steps.decided.sum()


def score(parameters: Parameters, bank: Bank, problems: int = 200) -> Score:
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
