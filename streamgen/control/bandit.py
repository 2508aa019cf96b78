"""The agent `bandit`: Thompson sampling over the choices, a local search over the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np

from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.encoding import Encoding, Floats, Ints, Points
from streamgen.control.halton import Halton
from streamgen.control.history import History, Known, levels
from streamgen.control.space import Space
from streamgen.record import Value
from streamgen.settings import Settings

TRIES = 50  # steps from the best point until one that the stages allow
WIDE, NARROW = 0.25, 0.06  # standard deviations of the first step from a best point and of the last

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class BanditSettings(Settings, frozen=True, kw_only=True):
    """A trial's numbers are spread over the whole space with the probability `shrink` ** rewards, at least `explore`.

    Otherwise they are a step away from the best known ones with the same choices, which becomes half as wide with
    every `halving` rewards of these choices.
    """

    shrink: Share = 0.8
    explore: Share = 0.1
    halving: Annotated[float, msgspec.Meta(gt=0)] = 5.0


class Bandit:
    """Each choice has a normal posterior of what it can be worth: the mean of the better half of its rewards.

    A draw from each decides (Thompson 1933); a choice never tried has the prior: one standard deviation above the mean
    of all. NumPy alone, well below a millisecond a suggestion, and hard to lead astray.
    """

    def __init__(self, space: Space, seed: int, settings: BanditSettings) -> None:
        self._space, self._seed, self._settings = space, seed, settings
        self._encoding = Encoding(space)
        self._halton = Halton(space.places, seed)
        self._history = History(self._encoding)

    def ask(self, observation: Observation) -> Proposal:
        """Choices by Thompson sampling; numbers near the best known ones, or anywhere."""
        rng = np.random.default_rng([self._seed, observation.step])
        anywhere = self._encoding.encode(self._space.decode(self._halton.point(observation.step)))
        if not len(self._history):
            return self._proposal([anywhere], rng)
        known = self._history.known()
        known = known._replace(values=levels(known))
        choices = self._drawn_choices(known, rng)
        same = (known.points.c == choices).all(axis=1)
        explore = max(self._settings.explore, self._settings.shrink ** len(known.values))
        if not same.any() or rng.random() < explore:
            return self._proposal([Points(anywhere.u, choices), anywhere], rng)
        best = known.points.u[same][int(np.argmax(known.values[same]))]
        width = NARROW + (WIDE - NARROW) * 0.5 ** (int(same.sum()) / self._settings.halving)
        steps = best + width * rng.standard_normal((TRIES, len(best)))
        return self._proposal([Points(step, choices) for step in steps], rng)

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Keep the reward."""
        self._history.add(trial.id, trial.settings, reward)

    def forget(self, trial: Trial) -> None:
        """Nothing is kept of a trial without a reward."""

    def warm_start(self, told: Sequence[tuple[Mapping[str, Value], Reward]]) -> None:
        """Begin with these rewards."""
        for index, (settings, reward) in enumerate(told):
            self._history.add(-1 - index, settings, reward)

    def recommend(self) -> Mapping[str, Value] | None:
        """The tried settings whose neighbourhood is worth most; see `History.recommend`."""
        return self._history.recommend()

    def state_dict(self) -> dict[str, Value]:
        """The rewards that it goes by."""
        return {"history": self._history.state()}

    def load_state_dict(self, state: Mapping[str, Value]) -> None:
        """Take over the rewards of a `state_dict`."""
        self._history.load(state.get("history"))

    def _drawn_choices(self, known: Known, rng: np.random.Generator) -> Ints:
        """For each categorical, the choice with the highest draw."""
        spread = float(known.values.std())
        drawn = [
            [_draw(known.values[column == choice], known.values.mean(), spread, rng) for choice in range(size)]
            for size, column in zip(self._encoding.sizes, known.points.c.T, strict=True)
        ]
        return np.array([int(np.argmax(draws)) for draws in drawn], dtype=np.int64)

    def _proposal(self, points: Sequence[Points], rng: np.random.Generator) -> Proposal:
        """The first point that the stages allow, or one drawn from those that they do."""
        for point in points:
            snapped = self._encoding.snap(*point)
            if self._encoding.allows(*snapped):
                return Proposal(settings=self._encoding.decode(*snapped))
        u, c = self._encoding.sample(rng, 1)
        return Proposal(settings=self._encoding.decode(u[0], c[0]))


def _draw(values: Floats, mean: float, spread: float, rng: np.random.Generator) -> float:
    """From the posterior of what a choice can be worth, by the levels that it reached."""
    better = np.sort(values)[len(values) // 2 :]
    centre = float(better.mean()) if len(values) else mean + spread
    return float(centre + spread / np.sqrt(len(values) + 1) * rng.standard_normal())
