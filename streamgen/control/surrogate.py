"""The agent `surrogate`: a Gaussian process learns what settings are worth, and asks for what may well be the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np

from streamgen.control.acquisition import worth
from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.candidates import first_point, middles, neighbours, pool, stacked
from streamgen.control.encoding import Encoding, Floats, Points
from streamgen.control.evidence import Evidence, Told, noise_of, standardised
from streamgen.control.gaussian_process import Inputs, Posterior, joined
from streamgen.control.hyperparameters import FEW, PARTICLES, Population
from streamgen.control.space import Space
from streamgen.control.success import chances
from streamgen.record import Value
from streamgen.settings import Settings

SEEN, SEEN_LATER = 16, 8  # particles that predict, up to `FEW` rewards and then; all of them move
WIDE, NEAR = 200, 100  # candidates
FINER = ((0.05, 10), (0.02, 10))  # then neighbours of the best: how far, and how many each
BEST = 4
STATE = "state"  # where a proposal's note keeps the state that it was made for


class SurrogateSettings(Settings, frozen=True, kw_only=True):
    """`exploration` is how many standard deviations a doubtful reward is hoped to be better than its mean.

    The first trials are in the middle of all ranges, with every value of the largest choice (at most 6); to make them
    `first`, more are spread evenly: 8 where there are choices, 3 where there are none.
    """

    exploration: Annotated[float, msgspec.Meta(ge=0)] = 1.2
    first: Annotated[int, msgspec.Meta(ge=1)] | None = None


DEFAULT = SurrogateSettings()
FIRST, FIRST_OF_CHOICES = 3, 8
"""First trials without and with choices: each value may have an optimum of its own, and guesses from few miss it."""


def usual_first(choices: int) -> int:
    """How many trials are spread before the first guess."""
    return FIRST_OF_CHOICES if choices else FIRST


class Surrogate:
    """A Gaussian-process bandit; what it asks for depends on (seed, step) and the rewards in the order told.

    Pending trials count as if they had brought what is expected of them (kriging believer, Ginsbourger et al. 2010).
    """

    def __init__(self, space: Space, seed: int, settings: SurrogateSettings = DEFAULT) -> None:
        self._settings = settings
        self._seed = seed
        self._encoding = Encoding(space)
        self._first = max(settings.first or usual_first(len(self._encoding.sizes)), middles(self._encoding))
        self._evidence = Evidence(self._encoding)
        self._population: Population | None = None  # there with the first reward
        self._posterior: Posterior | None = None

    def ask(self, observation: Observation) -> Proposal:
        """The settings that may well be the best: a high mean, or a doubtful one."""
        state = state_of(observation)
        if self._posterior is None or self._designing(observation.step):
            point = self._first_allowed(observation)
        else:
            rng = np.random.default_rng([self._seed, observation.step, 1])
            believed = self._with_pending(self._posterior, observation.pending)
            point = self._best(believed, state, observation.step, self._settings.exploration, rng)
        return Proposal(settings=self._encoding.decode(point.u, point.c), note={STATE: state})

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Learn from a reward; of a failed trial, where batches fail."""
        self._evidence.add(trial.id, trial.settings, _state_in(trial), reward)
        self._learn()

    def forget(self, trial: Trial) -> None:
        """Nothing: only the observation's pending trials are reckoned with."""

    def warm_start(self, told: Sequence[tuple[Mapping[str, Value], Reward]]) -> None:
        """Begin with what an earlier run has learned, as if it had been told just before this one."""
        for settings, reward in told:
            self._evidence.add(-1, settings, [], reward)
        if told:
            self._learn()

    def recommend(self) -> Mapping[str, Value] | None:
        """The tried settings with the best posterior mean, where batches seldom fail, in the newest state."""
        rows = self._evidence.worked
        if self._posterior is None or not rows:
            return None
        points = self._evidence.points(rows)
        newest = max(rows, key=lambda row: row.time)
        means = self._posterior.mean(self._at(points, newest.state, newest.time + 1)).mean(0)
        best = int(np.argmax(self._discounted(means, points)))
        return self._encoding.decode(points.u[best], points.c[best])

    def state_dict(self) -> dict[str, Value]:
        """The rewards, and the particles of the hyper-parameters."""
        return {
            "told": msgspec.to_builtins(self._evidence.rows),
            "count": self._evidence.count,
            "particles": self._population.theta.tolist() if self._population else [],
        }

    def load_state_dict(self, state: Mapping[str, Value]) -> None:
        """Take over a `state_dict`; raises ValueError where it is of another space."""
        rows = msgspec.convert(state.get("told"), list[Told])
        if any((len(row.u), len(row.c)) != (self._encoding.continuous, len(self._encoding.sizes)) for row in rows):
            raise ValueError("the state of the agent belongs to another search space")
        self._evidence.rows = rows
        self._evidence.count = msgspec.convert(state.get("count"), int)
        self._population = self._posterior = None
        if particles := msgspec.convert(state.get("particles"), list[list[float]]):
            self._population = self._new_population()
            self._population.theta = np.array(particles)
            self._see()

    def _designing(self, step: int) -> bool:
        """Whether the first trials are not over: what an earlier run has learned stands in for them."""
        return step < self._first and all(row.trial >= 0 for row in self._evidence.rows)

    def _learn(self) -> None:
        rows = self._evidence.worked
        if not rows:
            return
        inputs, y, noise = self._data()
        if self._population is None or self._population.width != inputs.x.shape[1]:
            self._population = self._new_population()
        self._population.move(inputs, y, noise, np.random.default_rng([self._seed, self._evidence.count, 2]))
        self._see()

    def _see(self) -> None:
        """Predict by a few of the particles, others after every reward."""
        assert self._population is not None
        rng = np.random.default_rng([self._seed, self._evidence.count, 3])
        inputs, y, noise = self._data()
        chosen = rng.permutation(PARTICLES)[: SEEN if len(y) <= FEW else SEEN_LATER]
        self._posterior = Posterior(self._population.hyper(chosen), inputs, y, noise)

    def _data(self) -> tuple[Inputs, Floats, Floats]:
        rows = self._evidence.worked
        values = np.array([row.value for row in rows], dtype=np.float64)
        return self._evidence.inputs(rows), standardised(values), noise_of(rows)

    def _new_population(self) -> Population:
        rng = np.random.default_rng([self._seed, 4])
        return Population(self._encoding.continuous, self._evidence.states, len(self._encoding.sizes), rng)

    def _with_pending(self, posterior: Posterior, pending: Sequence[Trial]) -> Posterior:
        if not pending:
            return posterior
        points = [self._encoding.encode(trial.settings) for trial in pending]
        each = [
            self._at(Points(point.u[None], point.c[None]), _state_in(trial), trial.id)
            for point, trial in zip(points, pending, strict=True)
        ]
        return posterior.believing(joined(*each))

    def _best(
        self, posterior: Posterior, state: Sequence[float], time: float, exploration: float, rng: np.random.Generator
    ) -> Points:
        """Where hope is highest: among points anywhere and near the tried ones, then ever nearer to the best."""

        def hope(points: Points) -> Floats:
            return self._discounted(worth(posterior, self._at(points, state, time), exploration), points)

        tried = self._evidence.points(self._evidence.worked)
        means = posterior.mean(self._at(tried, state, time)).mean(0)
        points = pool(self._encoding, tried, means, rng, WIDE, NEAR)
        values = hope(points)
        for distance, each in FINER:
            top = np.argsort(-values)[:BEST]
            points = neighbours(self._encoding, Points(points.u[top], points.c[top]), rng, distance, each)
            values = hope(points)
        return self._allowed(points, values, rng)

    def _discounted(self, values: Floats, points: Points) -> Floats:
        """What is above the worst reward is had only where the batch does not fail."""
        rows = self._evidence.rows
        worked = np.array([row.value is not None for row in rows], dtype=np.float64)
        if worked.all():
            return values
        assert self._posterior is not None
        worst = self._posterior.worst
        return worst + (values - worst) * chances(points, self._evidence.points(rows), worked)

    def _allowed(self, points: Points, values: Floats, rng: np.random.Generator) -> Points:
        """The best point that the stages take, or any that they do."""
        for best in np.argsort(-values):
            if self._encoding.allows(points.u[best], points.c[best]):
                return Points(points.u[best], points.c[best])
        drawn = self._encoding.sample(rng, 1)
        return Points(drawn.u[0], drawn.c[0])

    def _at(self, points: Points, state: Sequence[float], time: float) -> Inputs:
        """The points in a state, as far as states are known."""
        assert self._population is not None
        rows, states = len(points.u), self._population.width - self._encoding.continuous
        known = np.zeros(states)
        known[: len(state)] = state[:states]
        return Inputs(np.hstack([points.u, np.tile(known, (rows, 1))]), points.c, np.full(rows, float(time)))

    def _first_allowed(self, observation: Observation) -> Points:
        points = [self._encoding.encode(trial.settings) for trial in observation.pending]
        tried = self._evidence.points(self._evidence.rows)
        tried = stacked(tried, *(Points(point.u[None], point.c[None]) for point in points))
        point = first_point(self._encoding, self._seed, observation.step, tried)
        if self._encoding.allows(*point):
            return point
        drawn = self._encoding.sample(np.random.default_rng([self._seed, observation.step, 1]), 1)
        return Points(drawn.u[0], drawn.c[0])


def state_of(observation: Observation) -> list[float]:
    """What of the observation may change which settings are best: coverage and deficit by class."""
    return [*observation.coverage.values(), *observation.deficit.values()]


def _state_in(trial: Trial) -> list[float]:
    return msgspec.convert(trial.note.get(STATE, []), list[float])
