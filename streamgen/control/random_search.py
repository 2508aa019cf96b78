"""Random search: the agent that always works, and the bar for every other one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.halton import Halton
from streamgen.control.posterior import Tried
from streamgen.control.space import Space
from streamgen.record import Value


class RandomSearch:
    """Spreads trials evenly over the space by a scrambled Halton sequence, whatever the rewards.

    The settings of a step depend on (seed, step) alone.
    """

    is_quick = True

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._halton = Halton(space.places, seed)
        self._tried = Tried()

    def ask(self, observation: Observation) -> Proposal:
        """The step's point of the sequence, or a random draw where the stages do not allow that point."""
        settings = self._space.decode(self._halton.point(observation.step))
        if not self._space.allows(settings):
            settings = self._space.sample(Random(f"{self._seed}/{observation.step}"))
        return Proposal(settings=settings)

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Keep the reward for `recommend`."""
        self._tried.add(trial.settings, reward)

    def forget(self, trial: Trial) -> None:
        """Nothing is kept of a trial without a reward."""

    def warm_start(self, told: Sequence[tuple[Mapping[str, Value], Reward]]) -> None:
        """Begin with these rewards; the sequence stays the same."""
        for settings, reward in told:
            self._tried.add(settings, reward)

    def recommend(self) -> Mapping[str, Value] | None:
        """The tried settings with the highest posterior mean; see `posterior_means`."""
        return self._tried.best()

    def state_dict(self) -> dict[str, Value]:
        """What the rewards told so far add up to."""
        return {"tried": self._tried.state()}

    def load_state_dict(self, state: Mapping[str, Value]) -> None:
        """Take over the rewards of a `state_dict`."""
        self._tried.load(state.get("tried"))
