"""Where the surrogate looks: the first points of a run, points anywhere, and points near those that did well."""

from __future__ import annotations

import numpy as np

from streamgen.control.encoding import Encoding, Floats, Ints, Points
from streamgen.control.features import Array
from streamgen.control.halton import Halton

INSET = 0.15
"""Of a range at either end: points drawn anywhere stay away from the borders, where most of a cube's volume is and
most in doubt, and guesses are not moved there. Only neighbours of points that did well go farther out.
"""
MIDDLES = 6  # trials at most in the middle of all ranges
STEPS = (0.03, 0.1, 0.25)  # of the range: how far a neighbour may be
MOVED = 0.7  # the share of a neighbour's coordinates that differ
AGAIN = 20  # of the tried ones are candidates again
FLIPPED = 0.15  # the share of its choices that are drawn anew


def middles(encoding: Encoding) -> int:
    """How many of the first trials stand in the middle: with all values of a choice there, the choice alone differs."""
    return min(max(encoding.sizes, default=1), MIDDLES)


def first_point(encoding: Encoding, seed: int, step: int, tried: Points) -> Points:
    """The step's point of a design: the middle, then an even spread; each choice has all of its values in turn.

    Values that were tried, as the recipe's own are in the first trial, come last.
    """
    orders = [np.random.default_rng([seed, number]).permutation(size) for number, size in enumerate(encoding.sizes)]
    columns = zip(orders, tried.c.T, strict=True)
    c = np.array([_untried(order, column, step) for order, column in columns], dtype=np.int64)
    middle = np.full(encoding.continuous, 0.5)
    spread = inner(np.array(Halton(encoding.continuous, seed).point(step)))
    return encoding.snap(middle if step < middles(encoding) else spread, c)


def _untried(order: Ints, column: Ints, step: int) -> int:
    left = [value for value in order.tolist() if value not in column]
    return int(left[0] if left else order[step % len(order)])


def inner(u: Array) -> Array:
    """The points, drawn towards the middle by the inset."""
    return INSET + (1 - 2 * INSET) * u


def pool(encoding: Encoding, tried: Points, means: Floats, rng: np.random.Generator, wide: int, near: int) -> Points:
    """Candidates: `wide` anywhere, `near` around the tried points with the best means, and the best tried ones."""
    drawn = encoding.draw(rng, wide)
    anywhere = encoding.snap(inner(drawn.u), drawn.c)
    best = np.argsort(-means)
    around = rng.choice(best[:6], near)
    moved = rng.random((near, encoding.continuous)) < MOVED
    u = tried.u[around] + moved * rng.choice(STEPS, (near, 1)) * rng.standard_normal(moved.shape)
    flipped = rng.random((near, len(encoding.sizes))) < FLIPPED
    others = (rng.random(flipped.shape) * encoding.sizes).astype(np.int64)
    neighbours = encoding.snap(u, np.where(flipped, others, tried.c[around]))
    again = Points(tried.u[best[:AGAIN]], tried.c[best[:AGAIN]])
    return stacked(anywhere, neighbours, again)


def neighbours(encoding: Encoding, points: Points, rng: np.random.Generator, step: float, each: int) -> Points:
    """Every point, and `each` that are a small step away from it, with the same choices; none goes to the borders."""
    u = np.repeat(points.u, each + 1, axis=0)
    jumps = step * rng.standard_normal(u.shape)
    jumps[:: each + 1] = 0
    moved = np.clip(u + jumps, np.minimum(u, INSET), np.maximum(u, 1 - INSET))
    return encoding.snap(moved, np.repeat(points.c, each + 1, axis=0))


def stacked(*parts: Points) -> Points:
    """All points, one after the other."""
    return Points(np.vstack([part.u for part in parts]), np.vstack([part.c for part in parts]))
