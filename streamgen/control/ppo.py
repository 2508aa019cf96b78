"""The agent `ppo`: proximal policy optimisation, a trial being an episode of one step (Schulman et al. 2017)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streamgen.control.direct import Count, Positive
from streamgen.control.policy_agent import Lesson, PolicyAgent
from streamgen.control.policy_batch import Objective
from streamgen.control.space import Space
from streamgen.settings import Settings


class PpoSettings(Settings, frozen=True, kw_only=True):
    """How the policy learns: after every `rollout` rewards, `steps` steps on these, each ratio clipped to 1 ± `clip`.

    `spread` is the first standard deviation of a range of length 1, `least_spread` the last.
    """

    learning_rate: Positive = 0.02
    steps: Count = 10
    spread: Positive = 0.3
    least_spread: Positive = 0.1
    clip: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.2
    entropy: Annotated[float, msgspec.Meta(ge=0)] = 0.01
    rollout: Annotated[int, msgspec.Meta(ge=2)] = 6

    def check(self) -> None:
        """The spread can only shrink to the least one."""
        if self.least_spread > self.spread:
            raise ValueError("least_spread is above spread")


def ppo(space: Space, seed: int, settings: PpoSettings) -> PolicyAgent:
    """An agent with Normal and categorical heads and a value as its baseline."""
    objective = Objective(
        proximal=True,
        learning_rate=settings.learning_rate,
        steps=settings.steps,
        clip=settings.clip,
        entropy=settings.entropy,
        least_spread=settings.least_spread,
    )
    lesson = Lesson(objective, settings.rollout, settings.rollout, settings.rollout)
    return PolicyAgent("ppo", space, seed, settings.spread, lesson)
