"""An agent that acts by a stochastic policy and learns it online by its gradient: what `direct` and `ppo` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

import msgspec
import numpy as np

from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.encoding import Encoding
from streamgen.control.halton import Halton
from streamgen.control.history import History
from streamgen.control.learner import Learner, as_arrays, as_lists, load_library
from streamgen.control.policy import Parameters, Shape, View, act, forward, initial
from streamgen.control.policy_batch import Batch, Experience, Objective, batch_of
from streamgen.control.space import Space
from streamgen.errors import MissingExtra
from streamgen.record import Value

TRIES = 100  # actions until one that the stages allow; then settings drawn from the space


class Lesson(NamedTuple):
    """What a policy learns from and when: the last `window` rewards, after every `every`-th, from `first` on."""

    objective: Objective
    first: int
    every: int
    window: int


class PolicyAgent:
    """Asks the policy in NumPy on the event loop; JAX updates it in a thread.

    The thread loads and compiles JAX from the first reward on (some 3 s), while the next batches run. What is asked
    depends on the rewards told alone, not on the thread's pace: an `ask` waits for the updates of all of them (a
    millisecond each; longer only where `first` rewards are there before the compiler is ready, or are told at once, by
    a resumed run or a warm start).
    """

    def __init__(self, name: str, space: Space, seed: int, spread: float, lesson: Lesson) -> None:
        if any(find_spec(module) is None for module in ("jax", "flax", "optax")):
            raise MissingExtra(f"the agent {name!r}", "rl")
        load_library()
        self._space, self._seed, self._lesson = space, seed, lesson
        self._encoding, self._view = Encoding(space), View(space)
        self._shape = Shape(self._view.inputs, self._encoding.continuous, tuple(self._encoding.sizes.tolist()))
        self._halton = Halton(self._encoding.continuous + len(self._encoding.sizes), seed)
        self._begun = initial(self._shape, self._encoding, spread, np.random.default_rng([seed, 1]))
        self._learner = Learner(partial(_compiled, self._shape, lesson), self._begun)
        self._history = History(self._encoding)
        self._experiences: dict[int, Experience] = {}
        self._told = 0

    def ask(self, observation: Observation) -> Proposal:
        """An action of the policy, drawn by (seed, step); where the stages do not allow it, another draw."""
        inputs = self._view.numbers(observation)
        heads = forward(self._learner.parameters, self._shape, inputs)
        rng = np.random.default_rng([self._seed, observation.step])
        draws = self._halton.point(observation.step)
        for _ in range(TRIES):
            action = act(heads, draws)
            point = self._encoding.snap(action.place, action.choice)
            if self._encoding.allows(*point):
                settings = self._encoding.decode(*point)
                note = {"inputs": inputs, "place": action.place.tolist()}
                likely = action.log_probability(self._encoding.valued(settings))
                return Proposal(settings=settings, note=note, log_probability=likely)
            draws = rng.random(len(draws)).tolist()
        u, c = self._encoding.sample(rng, 1)
        return Proposal(settings=self._encoding.decode(u[0], c[0]))

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Keep the reward; after enough of them the policy is updated, in the thread."""
        self._add(trial.id, trial.settings, reward, trial.note, trial.log_probability)

    def forget(self, trial: Trial) -> None:
        """Nothing is kept of a trial without a reward."""

    def warm_start(self, told: Sequence[tuple[Mapping[str, Value], Reward]]) -> None:
        """Learn from rewards of an earlier run, as if its settings had been drawn uniformly."""
        for index, (settings, reward) in enumerate(told):
            self._add(-1 - index, settings, reward, {}, None)

    def recommend(self) -> Mapping[str, Value] | None:
        """The tried settings whose neighbourhood is worth most; see `History.recommend`."""
        return self._history.recommend()

    def state_dict(self) -> dict[str, Value]:
        """The policy and the rewards that it learns from."""
        return {
            "told": self._told,
            "history": self._history.state(),
            "experiences": {str(id_): msgspec.to_builtins(each) for id_, each in self._experiences.items()},
            "policy": as_lists(self._learner.parameters),
        }

    def load_state_dict(self, state: Mapping[str, Value]) -> None:
        """Take over policy and rewards."""
        self._learner.load(as_arrays(state.get("policy"), self._begun))
        self._history.load(state.get("history"))
        self._experiences = msgspec.convert(state.get("experiences"), dict[int, Experience], strict=False)
        self._told = msgspec.convert(state.get("told"), int)
        if self._told:
            self._learner.prepare()

    def _add(
        self,
        trial: int,
        settings: Mapping[str, Value],
        reward: Reward,
        note: Mapping[str, Value],
        log_probability: float | None,
    ) -> None:
        if reward.value is None or not self._history.add(trial, settings, reward):
            return
        self._experiences.pop(trial, None)
        self._experiences[trial] = self._experience(settings, reward.value, note, log_probability)
        if len(self._experiences) > self._lesson.window:
            del self._experiences[next(iter(self._experiences))]
        self._told += 1
        self._learner.prepare()
        if self._told >= self._lesson.first and self._told % self._lesson.every == 0:
            self._learn()

    def _experience(
        self, settings: Mapping[str, Value], value: float, note: Mapping[str, Value], log_probability: float | None
    ) -> Experience:
        u, c = self._encoding.encode(settings)
        placed, chosen = self._encoding.valued(settings)
        uniform = -float(np.log(self._encoding.sizes[chosen]).sum())
        return Experience(
            inputs=note.get("inputs") or self._view.numbers(Observation(step=0)),
            place=note.get("place") or u.tolist(),
            choice=c.tolist(),
            placed=placed.tolist(),
            chosen=chosen.tolist(),
            behaviour=uniform if log_probability is None else log_probability,
            value=value,
        )

    def _learn(self) -> None:
        values = np.array([each.value for each in self._experiences.values()])
        spread = values.std()
        if spread > 0:
            standard = ((values - values.mean()) / spread).tolist()
            self._learner.learn(batch_of(list(self._experiences.values()), standard, self._shape, self._lesson.window))


def _compiled(shape: Shape, lesson: Lesson) -> Callable[[Parameters, Batch], Parameters]:
    from streamgen.control.policy_update import compiled

    return compiled(shape, lesson.objective, lesson.window)
