"""An agent that shows candidates to a policy, takes one that it likes, and lets it go on learning from the rewards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec

import msgspec
import numpy as np

from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.candidate_learning import Choice, Choices, Objective, choices_of
from streamgen.control.candidate_policy import log_shares
from streamgen.control.candidates import neighbours, pool
from streamgen.control.encoding import Points
from streamgen.control.learner import Learner, as_arrays, as_lists, load_library
from streamgen.control.policy import Parameters
from streamgen.control.shortlist import Judge, Past, Shortlist, allowed, together
from streamgen.control.space import Space
from streamgen.control.surrogate import BEST, FINER, NEAR, STATE, WIDE, Surrogate, state_of
from streamgen.log import get_logger
from streamgen.record import Value

SHOWN = "shown"  # where a proposal's note keeps what the policy saw


class CandidateAgent(Surrogate):
    """A surrogate whose candidates a policy scores; what the surrogate thinks of them is all that the policy sees.

    Acting needs NumPy alone. Where JAX is installed and there is an objective, the policy is updated after every reward
    in a thread, which loads and compiles while the first batches run; what is asked depends on the rewards told alone.
    """

    def __init__(self, space: Space, seed: int, begun: Parameters, trials: int, objective: Objective | None) -> None:
        super().__init__(space, seed)
        self._trials, self._begun = trials, begun
        self._learner = _learner(begun, objective) if objective else None
        self._choices: dict[int, Choice] = {}

    def ask(self, observation: Observation) -> Proposal:
        """Settings drawn from the policy's shortlist by (seed, step), after the first trials and as many rewards."""
        if self._learner:
            self._learner.prepare()
        state = state_of(observation)
        if self._designing(observation.step) or len(self._evidence.worked) < self._first:
            point = self._first_allowed(observation)
            return Proposal(settings=self._encoding.decode(*point), note={STATE: state})
        rng = np.random.default_rng([self._seed, observation.step, 1])
        listed = self._listed(observation, state, rng)
        return self._drawn(listed, state, rng)

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Learn what the settings are worth, and whether the policy was right to like them."""
        super().tell(trial, reward)
        self._choices.pop(trial.id, None)
        if self._learner and reward.value is not None and SHOWN in trial.note and trial.log_probability is not None:
            self._choices[trial.id] = Choice.of(trial.note[SHOWN], trial.log_probability, reward.value)
            self._learner.learn(choices_of(list(self._choices.values())))

    def recommend(self) -> Mapping[str, Value] | None:
        """The settings with the best posterior mean, after the first trials also ones that were not tried."""
        rows = self._evidence.worked
        if self._posterior is None or len(rows) < self._first:
            return super().recommend()
        newest = max(rows, key=lambda row: row.time)
        rng = np.random.default_rng([self._seed, self._evidence.count, 5])
        point = self._best(self._posterior, newest.state, newest.time + 1, 0.0, rng)
        return self._encoding.decode(point.u, point.c)

    def state_dict(self) -> dict[str, Value]:
        """The surrogate's, the choices that are learned from, and the policy."""
        choices = {str(trial): msgspec.to_builtins(choice) for trial, choice in self._choices.items()}
        return {**super().state_dict(), "choices": choices, "policy": as_lists(self._policy)}

    def load_state_dict(self, state: Mapping[str, Value]) -> None:
        """Take over a `state_dict`; raises ValueError where it is of another space."""
        super().load_state_dict(state)
        self._choices = msgspec.convert(state.get("choices"), dict[int, Choice], strict=False)
        policy = as_arrays(state.get("policy"), self._begun)
        if self._learner:
            self._learner.load(policy)

    @property
    def _policy(self) -> Parameters:
        return self._learner.parameters if self._learner else self._begun

    def _listed(self, observation: Observation, state: Sequence[float], rng: np.random.Generator) -> Shortlist:
        assert self._posterior is not None
        step, policy = observation.step, self._policy
        believed = self._with_pending(self._posterior, observation.pending)
        known = self._evidence.points(self._evidence.worked)
        means = believed.mean(self._at(known, state, step)).mean(0)
        judge = Judge(policy, believed, self._past(observation, float(means.max())))
        points = pool(self._encoding, known, means, rng, WIDE, NEAR)
        listed = judge.begin(points, self._at(points, state, step), WIDE + NEAR)
        for distance, each in FINER:
            points = neighbours(self._encoding, listed.only(listed.best(BEST)).points, rng, distance, each)
            listed = together(listed, judge.more(points, self._at(points, state, step)))
        return allowed(self._encoding, listed)

    def _past(self, observation: Observation, incumbent: float) -> Past:
        rows, count = self._evidence.rows, len(observation.pending)
        worked = np.array([row.value is not None for row in rows], dtype=np.float64)
        points = [self._encoding.encode(trial.settings) for trial in observation.pending]
        u = np.array([point.u for point in points]).reshape(count, self._encoding.continuous)
        c = np.array([point.c for point in points], dtype=np.int64).reshape(count, len(self._encoding.sizes))
        share = observation.step / self._trials
        return Past(self._evidence.points(rows), worked, Points(u, c), incumbent, share)

    def _drawn(self, listed: Shortlist, state: list[float], rng: np.random.Generator) -> Proposal:
        if not len(listed.scores):
            drawn = self._encoding.sample(rng, 1)
            return Proposal(settings=self._encoding.decode(drawn.u[0], drawn.c[0]), note={STATE: state})
        likely = log_shares(self._policy, listed.scores)
        taken = min(int(np.searchsorted(np.exp(likely).cumsum(), rng.random())), len(likely) - 1)
        shown = {"own": listed.own.tolist(), "among": listed.among.tolist(), "taken": taken}
        settings = self._encoding.decode(listed.points.u[taken], listed.points.c[taken])
        return Proposal(settings=settings, note={STATE: state, SHOWN: shown}, log_probability=float(likely[taken]))


def _learner(begun: Parameters, objective: Objective) -> Learner[Choices] | None:
    if any(find_spec(module) is None for module in ("jax", "flax", "optax")):
        get_logger().warning("the policy does not go on learning: that needs streamgen-llm[rl]", agent="reinforce")
        return None
    load_library()
    return Learner(partial(_compiled, begun, objective), begun)


def _compiled(begun: Parameters, objective: Objective) -> Callable[[Parameters, Choices], Parameters]:
    from streamgen.control.candidate_update import update_from

    return update_from(begun, objective, choices_of([]))
