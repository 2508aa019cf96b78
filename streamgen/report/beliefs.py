"""What all rewards together say of settings: a Gaussian process over the trials, asked after they are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from streamgen.control.encoding import Encoding, Floats, Points
from streamgen.control.gaussian_process import Inputs, Posterior, Prediction
from streamgen.control.hyperparameters import PARTICLES, Population
from streamgen.control.results import TrialResult
from streamgen.control.space import Space
from streamgen.record import Value
from streamgen.report.trial_axes import Axis

KEPT = 256  # rewards, the newest ones
FITTED = 64  # of them, evenly chosen, tell the hyper-parameters: time grows with their cube
ROUNDS = 10  # of moves of each particle
PLACES = 25  # of a curve
INTERVAL = 1.96
LARGEST = 1e100


class Belief(NamedTuple):
    """A posterior mean and its standard deviation."""

    mean: float
    sd: float

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return self.mean - INTERVAL * self.sd

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return self.mean + INTERVAL * self.sd


class Believed(NamedTuple):
    """What is believed at a place of an axis."""

    place: float
    belief: Belief


class Beliefs:
    """The posterior over the worth of settings, given all rewards; failed trials are left out.

    The model is that of the agent `surrogate` (Matern-5/2 with a length scale a coordinate, hyper-parameters by MCMC),
    but without forgetting: every reward counts alike. A reward's standard error, where it has one, sets how much
    noise it has beside the others.
    """

    def __init__(self, space: Space, results: Sequence[TrialResult]) -> None:
        told = [(each.trial.settings, each.reward) for each in results if each.reward][-KEPT:]
        known = [(settings, reward.value, reward.se) for settings, reward in told if reward.value is not None]
        values = np.array([value for _, value, _ in known], dtype=np.float64)
        self._encoding = Encoding(space)
        self._middle, self._unit = float(values.mean()), float(values.std()) or 1.0
        inputs = self._inputs([settings for settings, _, _ in known])
        y, noise = (values - self._middle) / self._unit, _noise([se for _, _, se in known])
        rng = np.random.default_rng(0)
        population = Population(self._encoding.continuous, 0, len(self._encoding.sizes), rng)
        some = np.unique(np.linspace(0, len(y) - 1, FITTED).astype(np.int64))
        fitted = Inputs(inputs.x[some], inputs.c[some], inputs.t[some])
        for _ in range(ROUNDS):
            population.move(fitted, y[some], noise[some], rng)
        self._posterior = Posterior(population.hyper(np.arange(PARTICLES)), inputs, y, noise)

    def of(self, settings: Sequence[Mapping[str, Value]]) -> list[Belief]:
        """What is believed of each of these settings."""
        seen = self._posterior.predict(self._inputs(settings))
        return self._beliefs(seen.means, seen.variances)

    def lacks(self, settings: Sequence[Mapping[str, Value]], best: Mapping[str, Value]) -> list[Belief]:
        """By how much each of these settings is worse than `best`."""
        seen = self._posterior.predict(self._inputs([*settings, best]))
        return self._beliefs(seen.means[:, -1:] - seen.means, self._of_differences(seen), middle=0.0)[:-1]

    def along(self, axis: Axis, settings: Mapping[str, Value]) -> list[Believed]:
        """What is believed along an axis, all else being as in `settings`: a place a choice, or 25 of a range."""
        places = [place for place, _ in axis.ticks()] if axis.choices else [n / (PLACES - 1) for n in range(PLACES)]
        return list(map(Believed, places, self.of([axis.at(place, settings) for place in places])))

    def _inputs(self, settings: Sequence[Mapping[str, Value]]) -> Inputs:
        points = [self._encoding.encode(each) for each in settings]
        stacked = Points(np.array([point.u for point in points]), np.array([point.c for point in points]))
        return Inputs(stacked.u, stacked.c, np.zeros(len(points)))

    def _of_differences(self, seen: Prediction) -> Floats:
        """Variances of the differences to the last point."""
        last = np.array([seen.means.shape[1] - 1])
        return np.asarray(seen.variances + seen.variances[:, -1:] - 2 * self._posterior.between(seen, last)[:, :, 0])

    def _beliefs(self, means: Floats, variances: Floats, middle: float | None = None) -> list[Belief]:
        """Means over the particles, with their disagreement in the variance, in the rewards' own unit."""
        sds = np.sqrt(np.maximum(variances, 0.0).mean(0) + means.var(0)) * self._unit
        middle = self._middle if middle is None else middle
        return list(map(Belief, (means.mean(0) * self._unit + middle).tolist(), sds.tolist()))


def _noise(errors: Sequence[float | None]) -> Floats:
    """Variances of the rewards beside their mean; 1 where nothing is known of one."""
    known = [error**2 for error in errors if error]
    middle = sum(known) / len(known) if known else 1.0
    return np.array([max(error**2 / middle, 0.05) if error and middle else 1.0 for error in errors])


def beliefs_of(space: Space, results: Sequence[TrialResult]) -> Beliefs | None:
    """The posterior of these trials.

    None where fewer than three have a reward, nothing was tuned, or rewards are too large to be squared.
    """
    values = [each.value for each in results if each.value is not None]
    is_known = len(values) >= 3 and len(space) > 0 and max(map(abs, values)) < LARGEST
    return Beliefs(space, results) if is_known else None
