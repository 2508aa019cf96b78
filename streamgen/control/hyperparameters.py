"""What is believed about the surrogate's hyper-parameters: a prior, and a population of particles moved by MCMC."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from streamgen.control.encoding import Floats, Ints
from streamgen.control.gaussian_process import Hyper, Inputs, log_likelihood

Density: TypeAlias = Callable[[Floats], Floats]

PARTICLES = 32
MOVES = 6
KINDS = 3
FEW = 40
"""Rewards up to which all particles move `MOVES` times; later one half moves once: a reward more changes little.

Of three and of eight moves (with 8 and 16 particles that predict), eight had 5 % less online regret.
"""

# Medians and the deviations of the logarithms, of coordinates in [0, 1], rewards of variance 1 and time in batches.
# Chosen by the log density that the posterior gives to true rewards which it has not seen, after 4 to 30 batches of
# the families of `python -m benchmarks tuning` (development seeds); ODDS by the regret (decision 0010).
LENGTH, STATE_LENGTH = (0.55, 0.35), (1.5, 1.0)
ODDS = (0.4, 1.0)  # of the correlation between two choices: odds of 1 would be a correlation of a half
LEVEL = (0.3, 0.7)
SIGNAL, NOISE, FORGETTING = (1.5, 0.5), (0.2, 0.8), (0.0005, 1.0)
POWER = (1.0, 0.3)
"""Mean and deviation: it is no logarithm."""


class Population:
    """Particles that follow the posterior: differential-evolution MCMC (ter Braak 2006), one half moves by the other.

    `width` is how many coordinates and state values there are, `theta` a row for each particle:
    the columns of `Hyper`.
    """

    def __init__(self, coordinates: int, states: int, choices: int, rng: np.random.Generator) -> None:
        self.width, self._choices = coordinates + states, choices
        wide = [LENGTH] * coordinates + [STATE_LENGTH] * states + [ODDS] * choices + [LEVEL] * choices
        priors = [*wide, SIGNAL, NOISE, FORGETTING, POWER]
        self._median, self._scale = np.array(priors).T
        self._median[:-1] = np.log(self._median[:-1])
        # Distances grow with the root of the number of coordinates, and so do the scales that are likely.
        self._median[:coordinates] += 0.25 * np.log(max(1.0, coordinates / 2))
        self.theta: Floats = self._median + self._scale * rng.standard_normal((PARTICLES, len(priors)))

    def move(self, inputs: Inputs, y: Floats, noise: Floats, rng: np.random.Generator) -> None:
        """Let particles jump along the differences of others."""
        half = PARTICLES // 2
        halves = [(slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))]
        kinds = [move % KINDS for move in range(MOVES)]
        if len(y) > FEW:
            halves, kinds = [halves[rng.integers(2)]], [int(rng.integers(KINDS))]
        density = partial(self._log_posterior, inputs=inputs, y=y, noise=noise)
        levels = [density(self.theta[some]) for some, _ in halves]
        for kind in kinds:
            for (some, others), level in zip(halves, levels, strict=True):
                self._jump(some, others, level, density, rng, kind)

    def _jump(
        self, some: slice, others: slice, levels: Floats, density: Density, rng: np.random.Generator, kind: int
    ) -> None:
        """Metropolis: particles keep the jumps that are as likely as where they are; `levels` follows."""
        proposed = self._jumped(self.theta[some], self.theta[others], rng, kind)
        reached = density(proposed)
        accepted = np.log(rng.random(len(levels))) < reached - levels
        self.theta[some][accepted] = proposed[accepted]
        levels[accepted] = reached[accepted]

    def hyper(self, chosen: Ints) -> Hyper:
        """Some of the particles."""
        return Hyper.of(self.theta[chosen], self._choices)

    def _jumped(self, some: Floats, others: Floats, rng: np.random.Generator, kind: int) -> Floats:
        """Along the difference of two particles; the first kind nearly all of it, which changes modes."""
        half, width = some.shape
        first, second = rng.integers(half, size=(2, half))
        step = 2.38 / np.sqrt(2 * width) if kind else 0.9
        moved = rng.random((half, width)) < (0.5 if kind == 1 else 1.0)
        jump = step * (others[first] - others[second]) + rng.normal(0, 0.05, (half, width))
        return np.asarray(some + moved * jump)

    def _log_posterior(self, theta: Floats, inputs: Inputs, y: Floats, noise: Floats) -> Floats:
        prior = -0.5 * (((theta - self._median) / self._scale) ** 2).sum(1)
        return np.asarray(prior + log_likelihood(Hyper.of(theta, self._choices), inputs, y, noise))
