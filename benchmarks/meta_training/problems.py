"""Simulated tuning problems to learn from; none of them is of the benchmark's families.

A problem is a random function of coordinates, choices, an observed state and time: a mixture of waves (random Fourier
features, so draws of Gaussian processes), bowls, and boxes (the leaves of random trees), sometimes cut off by an edge;
it may drift, and batches may fail. It is scaled so that its best is 1 and a random point is worth 0 in the mean.

What nobody can learn in thirty batches teaches nothing but adds to the spread: so functions are smooth, noise is
moderate, and few problems follow an observed state, in most of whose values the best of all is out of reach.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

COORDINATES, CHOICES, STATES = 8, 2, 2
MOST = (6, 3)
"""Values of each choice at most; one choice of one value is none."""
WAVES, BOXES = 16, 6
LOOKED_AT = 300
CLIMBED = (0.15, 0.05, 0.02)
"""Random points from which the scale is found; from the best of them as many more at these distances."""
UNIFORMS, NORMALS = 5000, 9000


class Problem(NamedTuple):
    """All that defines one problem."""

    used: jax.Array  # (COORDINATES,) 1 or 0
    sizes: jax.Array  # (CHOICES,)
    blend: jax.Array  # (3,) of waves, bowls, boxes
    frequencies: jax.Array
    phases: jax.Array  # (values of the first choice, of the second, WAVES)
    heights: jax.Array
    centres: jax.Array  # (values of the first choice, COORDINATES)
    weights: jax.Array
    power: jax.Array
    leaning: jax.Array  # (STATES, COORDINATES) how the centres follow the state
    levels: jax.Array  # (values of the first choice, of the second)
    trends: jax.Array
    middles: jax.Array
    halves: jax.Array
    steepness: jax.Array
    gains: jax.Array  # (BOXES, values of the first choice)
    normal: jax.Array
    edge: jax.Array
    velocity: jax.Array
    has_state: jax.Array
    noise: jax.Array
    failing: jax.Array
    fails_at: jax.Array
    offset: jax.Array
    scale: jax.Array


class Point(NamedTuple):
    """Where something is played, and when."""

    u: jax.Array
    c: jax.Array
    state: jax.Array
    time: jax.Array


class _Numbers:
    """Random numbers, taken one after the other."""

    def __init__(self, uniforms: jax.Array, normals: jax.Array) -> None:
        self._uniforms, self._normals = uniforms, normals
        self.taken = [0, 0]

    def uniform(self, low: float, high: float, *shape: int) -> jax.Array:
        return low + (high - low) * self._take(0, self._uniforms, shape)

    def log_uniform(self, low: float, high: float) -> jax.Array:
        return jnp.exp(self.uniform(math.log(low), math.log(high)))

    def whole(self, low: int, high: int, *shape: int) -> jax.Array:
        """From low to high, both included."""
        return jnp.floor(self.uniform(low, high + 1, *shape)).astype(int)

    def chance(self, share: float, *shape: int) -> jax.Array:
        return (self.uniform(0.0, 1.0, *shape) < share) * 1.0

    def normal(self, *shape: int) -> jax.Array:
        return self._take(1, self._normals, shape)

    def _take(self, kind: int, numbers: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        start, count = self.taken[kind], math.prod(shape)
        self.taken[kind] += count
        assert self.taken[kind] <= len(numbers)
        return numbers[start : start + count].reshape(shape)


def draw(uniforms: jax.Array, normals: jax.Array) -> Problem:
    """A problem of random size and kind, from UNIFORMS and NORMALS random numbers.

    They are drawn elsewhere, all at once: compiling dozens of small draws takes half a minute.
    """
    numbers = _Numbers(uniforms, normals)
    uniform, chance, normal, first = numbers.uniform, numbers.chance, numbers.normal, MOST[0]
    used = (jnp.arange(COORDINATES) < numbers.whole(1, COORDINATES)) * 1.0
    matters = used * jnp.exp(1.2 * normal(COORDINATES))
    matters = matters / jnp.sqrt((matters**2).sum())
    sizes = [
        1 + numbers.chance(share) * numbers.whole(1, most - 1) for share, most in zip((0.7, 0.4), MOST, strict=True)
    ]
    has_state = chance(0.1)
    spread = uniform(0.0, 1.0) * chance(0.6)  # how much the first choice changes
    middle, apart = uniform(0.0, 1.0, COORDINATES), uniform(0.0, 1.0, first, COORDINATES)
    one = jnp.arange(COORDINATES) == numbers.whole(0, COORDINATES - 1, BOXES, 1)
    bounded = ((chance(0.35, BOXES, COORDINATES) + one) * used) > 0
    raw = Problem(
        used=used,
        sizes=jnp.stack(sizes).astype(int),
        blend=jax.nn.softmax(2.5 * normal(3) - jnp.array([0.0, 0.0, 2.0])),
        frequencies=jnp.hstack(
            [matters * uniform(0.5, 5.0) * normal(WAVES, COORDINATES), has_state * normal(WAVES, STATES)]
        ),
        phases=uniform(0.0, 6.28, WAVES) + 3 * spread * normal(*MOST, WAVES),
        heights=normal(WAVES),
        centres=(1 - spread) * middle + spread * apart,
        weights=matters * numbers.log_uniform(2.0, 12.0),
        power=1.0 + chance(0.5),
        leaning=0.25 * normal(STATES, COORDINATES) * has_state,
        levels=normal(*MOST) * uniform(0.0, 1.0),
        trends=0.02 * normal(*MOST) * chance(0.15),
        middles=uniform(0.0, 1.0, BOXES, COORDINATES),
        halves=jnp.where(bounded, uniform(0.1, 0.4, BOXES, COORDINATES), 10.0),
        steepness=numbers.log_uniform(8.0, 200.0),
        gains=normal(BOXES, 1) + spread * normal(BOXES, first),
        normal=normal(COORDINATES) * used * jnp.maximum(chance(0.5), jnp.arange(COORDINATES) == 0),
        edge=jnp.where(chance(0.25) > 0, uniform(-0.2, 0.9), 1e3),
        velocity=normal(COORDINATES) * uniform(0.0, 0.01) * chance(0.35),
        has_state=has_state,
        noise=numbers.log_uniform(0.01, 0.3),
        failing=uniform(0.0, 0.25) * chance(0.4),
        fails_at=jnp.where(chance(0.15) > 0, uniform(0.7, 0.95), 2.0),
        offset=jnp.zeros(()),
        scale=jnp.ones(()),
    )
    return _scaled(raw, numbers)


def worth(problem: Problem, at: Point) -> jax.Array:
    """The mean reward of a point."""
    return (_raw(problem, at) - problem.offset) / problem.scale


def fails(problem: Problem, at: Point) -> jax.Array:
    """How likely a batch of this point fails: more often in a corner of some problems."""
    return jnp.where(at.u[0] > problem.fails_at, 0.7, problem.failing)


def _raw(problem: Problem, at: Point) -> jax.Array:
    u = at.u - problem.velocity * at.time
    first, second = at.c
    waves = jnp.cos(problem.frequencies @ jnp.concatenate([u, at.state]) + problem.phases[first, second])
    centre = problem.centres[first] + at.state @ problem.leaning
    away = (problem.weights * jnp.abs(u - centre) ** problem.power * problem.used).sum()
    inside = jax.nn.sigmoid((problem.halves - jnp.abs(u - problem.middles)) * problem.steepness).prod(1)
    parts = (
        waves @ problem.heights / jnp.sqrt(WAVES / 2),
        2.0 / (1.0 + away),
        inside @ problem.gains[:, first],
    )
    level = problem.levels[first, second] + problem.trends[first, second] * at.time
    value = problem.blend @ jnp.stack(parts) + 0.5 * level
    return jnp.where(u @ problem.normal > problem.edge, -1.0, value)


def _scaled(problem: Problem, numbers: _Numbers) -> Problem:
    u = numbers.uniform(0.0, 1.0, LOOKED_AT, COORDINATES) * problem.used
    u = u.at[: MOST[0]].set(jnp.clip(problem.centres, 0, 1) * problem.used)
    c = (numbers.uniform(0.0, 1.0, LOOKED_AT, CHOICES) * problem.sizes).astype(int)
    c = c.at[: MOST[0], 0].set(jnp.arange(MOST[0]) % problem.sizes[0])
    state = numbers.normal(LOOKED_AT, STATES) * problem.has_state
    values = _values(problem, u, c, state)
    offset, spread, best = values.mean(), values.std(), values.max()
    for distance in CLIMBED:
        top = jnp.argmax(values)
        u = jnp.clip(u[top] + distance * numbers.normal(LOOKED_AT, COORDINATES), 0, 1) * problem.used
        c, state = jnp.broadcast_to(c[top], c.shape), jnp.broadcast_to(state[top], state.shape)
        values = _values(problem, u, c, state)
        best = jnp.maximum(best, values.max())
    return problem._replace(offset=offset, scale=jnp.maximum(best - offset, jnp.maximum(spread, 1e-2)))


def _values(problem: Problem, u: jax.Array, c: jax.Array, state: jax.Array) -> jax.Array:
    return jax.vmap(partial(_raw, problem))(Point(u, c, state, jnp.zeros(len(u))))
