"""Episodes: the policy plays simulated problems, many at once."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.meta_training.problems import (
    CHOICES,
    COORDINATES,
    MOST,
    NORMALS,
    STATES,
    UNIFORMS,
    Point,
    Problem,
    draw,
    fails,
    worth,
)
from benchmarks.meta_training.process import Bank, Belief, Trials, added, begun, believed, expected, predicted
from streamgen.control import features, success
from streamgen.control.candidate_update import logits
from streamgen.control.candidates import FLIPPED, MIDDLES, MOVED, STEPS, inner
from streamgen.control.policy import Parameters
from streamgen.control.surrogate import FIRST, FIRST_OF_CHOICES

WIDE, NEAR = 32, 16
"""Candidates: in the proportion of those that the surrogate looks at."""
BEST = 6
COPIED = 0.1
"""How often a candidate is a point that was tried."""
DELAYS = (0.5, 0.1, 0.1, 0.1, 0.2)
"""How often 0 to 4 trials are pending when one is asked for."""
PERSISTENCE = 0.9
"""Of an observed state, from batch to batch; its variance is 1."""


class Steps(NamedTuple):
    """What happened at each trial."""

    value: jax.Array
    recommended: jax.Array  # what the recommendation was worth before the trial


class Chance(NamedTuple):
    """All that is random in a trial; drawn by NumPy at once, because many small draws are slow to compile."""

    wide: jax.Array
    drawn: jax.Array
    near: jax.Array
    moved: jax.Array
    moves: jax.Array
    flipped: jax.Array
    particles: jax.Array
    noise: jax.Array
    fails: jax.Array
    walk: jax.Array


class Luck(NamedTuple):
    """All that is random in some problems and the episodes on them."""

    uniforms: jax.Array  # (problems, UNIFORMS)
    normals: jax.Array
    delays: jax.Array  # (problems,)
    firsts: jax.Array  # (problems, trials, COORDINATES)
    turns: jax.Array  # (problems, CHOICES, values)
    chances: Chance  # (problems, trials, ...)


def luck(rng: np.random.Generator, problems: int, trials: int) -> Luck:
    """What two policies meet alike: the difference between their episodes is what they did."""
    shape = (problems, trials)

    def uniform(*sizes: int) -> jax.Array:
        return jnp.asarray(rng.random(sizes, np.float32))

    def normal(*sizes: int) -> jax.Array:
        return jnp.asarray(rng.standard_normal(sizes, np.float32))

    chances = Chance(
        wide=inner(uniform(*shape, WIDE, COORDINATES)),
        drawn=uniform(*shape, WIDE + NEAR, CHOICES),
        near=uniform(*shape, 3, NEAR),
        moved=uniform(*shape, NEAR, COORDINATES),
        moves=normal(*shape, NEAR, COORDINATES),
        flipped=uniform(*shape, NEAR, CHOICES),
        particles=uniform(*shape),
        noise=normal(*shape),
        fails=uniform(*shape),
        walk=normal(*shape, STATES),
    )
    return Luck(
        uniform(problems, UNIFORMS),
        normal(problems, NORMALS),
        jnp.asarray(rng.choice(len(DELAYS), problems, p=DELAYS)),
        inner(uniform(problems, trials, COORDINATES)),
        uniform(problems, CHOICES, MOST[0]),
        chances,
    )


class World(NamedTuple):
    """What does not change during an episode."""

    problem: Problem
    bank: Bank
    delay: jax.Array
    firsts: jax.Array
    turns: jax.Array
    first: jax.Array  # trials before the policy is asked


def episodes(parameters: Parameters, banks: Bank, drawn: Luck) -> Steps:
    """Every problem, played by a policy of its own, which takes what it likes best: arrays (problems, trials)."""
    worlds = jax.vmap(partial(_world, banks))(*drawn[:-1])
    steps: Steps = jax.vmap(_episode)(parameters, worlds, drawn.chances)
    return steps


def _world(
    banks: Bank, uniforms: jax.Array, normals: jax.Array, delay: jax.Array, firsts: jax.Array, turns: jax.Array
) -> World:
    problem = draw(uniforms, normals)
    bank = Bank(*(column[problem.used.sum().astype(int) - 1] for column in banks))
    order = jnp.argsort(turns + (jnp.arange(MOST[0]) >= problem.sizes[:, None]), axis=1)
    middles = jnp.minimum(problem.sizes.max(), MIDDLES)
    placed = jnp.where(jnp.arange(len(firsts))[:, None] < middles, 0.5, firsts)
    first = jnp.where(problem.sizes.max() > 1, FIRST_OF_CHOICES, FIRST)
    return World(problem, bank, delay, placed * problem.used, order, jnp.maximum(middles, first))


def _episode(parameters: Parameters, world: World, chances: Chance) -> Any:
    step, trials = partial(_step, parameters, world), len(chances.noise)
    start = (begun(len(world.bank.signal), trials), chances.walk[0] * world.problem.has_state)
    _, steps = jax.lax.scan(step, start, (jnp.arange(trials), chances))
    return steps


def _step(
    parameters: Parameters,
    world: World,
    carry: tuple[Trials, jax.Array],
    at: tuple[jax.Array, Chance],
) -> tuple[tuple[Trials, jax.Array], Steps]:
    (past, state), (now, chance) = carry, at
    problem, bank = world.problem, world.bank
    told = jnp.maximum(now - world.delay, 0)
    worked = (jnp.arange(len(past.c)) < told) * (1 - past.failed)
    belief = believed(bank, past, told, now, chance.particles)
    means = expected(belief, past, _with_state(past.x[:, :COORDINATES], state), past.c, now)
    levels = jnp.where(worked > 0, means.mean(0), -jnp.inf)

    u, c = _candidates(problem, past, levels, chance)
    seen = _seen(problem, belief, past, (u, c), state, levels, now, told)
    taken = jnp.argmax(logits(parameters, seen))
    decided = (worked.sum() >= world.first) & (now >= world.first)
    turn = world.turns[jnp.arange(CHOICES), now % problem.sizes]
    point = Point(jnp.where(decided, u[taken], world.firsts[now]), jnp.where(decided, c[taken], turn), state, now * 1.0)

    value, failed = worth(problem, point), (chance.fails < fails(problem, point)) * 1.0
    reward = value + problem.noise * chance.noise
    best = jnp.argmax(levels)
    recommended = worth(problem, Point(past.x[best, :COORDINATES], past.c[best], state, now * 1.0))
    after = added(bank, past, now, jnp.concatenate([point.u, state]), point.c, reward, failed)
    walked = PERSISTENCE * state + jnp.sqrt(1 - PERSISTENCE**2) * chance.walk * problem.has_state
    return (after, walked), Steps(value, jnp.where(worked.any(), recommended, 0.0))


def _seen(
    problem: Problem,
    belief: Belief,
    past: Trials,
    points: tuple[jax.Array, jax.Array],
    state: jax.Array,
    levels: jax.Array,
    now: jax.Array,
    told: jax.Array,
) -> jax.Array:
    """What the policy sees of the candidates (candidates, FEATURES)."""
    (u, c), coordinates = points, problem.used.sum()
    means, variances = predicted(belief, past, _with_state(u, state), c, now)
    incumbent = jnp.where(jnp.isfinite(levels.max()), levels.max(), 0.0)
    noise = jnp.exp(2 * belief.bank.noise)
    opinion = features.Opinion(means, variances, noise, belief.bank.forgetting, incumbent, belief.worst)
    tried = features.Tried(past.x[:, :COORDINATES], past.c, (jnp.arange(len(past.c)) < now) * 1.0)
    near = features.around(u, c, tried, chances_of(u, c, past, told), coordinates, jnp)
    worked = jnp.isfinite(levels).sum() * 1.0
    progress = features.Progress(now / len(past.c), worked, (now - told) * 1.0, coordinates)
    own = features.own_features(opinion, near, features.setting(opinion, jnp), jnp)
    common = features.common_features(opinion, progress, jnp)
    return jnp.asarray(features.beside(own, jnp.concatenate([own.mean(0), common]), jnp))


def _with_state(u: jax.Array, state: jax.Array) -> jax.Array:
    return jnp.concatenate([u, jnp.broadcast_to(state, (len(u), STATES))], 1)


def _candidates(problem: Problem, past: Trials, levels: jax.Array, chance: Chance) -> tuple[jax.Array, jax.Array]:
    """Points from everywhere, and from around the best that were tried: as `candidates.pool` has them."""
    drawn = (chance.drawn * problem.sizes).astype(jnp.int32)
    number = jnp.clip(jnp.isfinite(levels).sum(), 1, BEST)
    chosen = jax.lax.top_k(levels, BEST)[1][(chance.near[0] * number).astype(int)]
    length = jnp.array(STEPS)[(chance.near[1] * len(STEPS)).astype(int)] * (chance.near[2] >= COPIED)
    moves = length[:, None] * (chance.moved < MOVED) * chance.moves
    near = jnp.clip(past.x[chosen, :COORDINATES] + moves, 0.0, 1.0)
    near_c = jnp.where(chance.flipped < FLIPPED, drawn[WIDE:], past.c[chosen])
    return jnp.concatenate([chance.wide, near]) * problem.used, jnp.concatenate([drawn[:WIDE], near_c])


def chances_of(u: jax.Array, c: jax.Array, past: Trials, told: jax.Array) -> jax.Array:
    """How likely a batch is to work, as `streamgen.control.success.chances` has it."""
    is_told = (jnp.arange(len(past.c)) < told) * 1.0
    tried = (past.x[:, :COORDINATES], past.c)
    near, others = success.apart((u, c), tried), success.apart(tried, tried)
    return jnp.asarray(success.foretold(near, others, is_told * (1 - past.failed), is_told, jnp))
