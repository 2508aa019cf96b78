"""The agent `reinforce`: a policy learned by its gradient, on candidates or on the settings themselves."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streamgen.control.agent import Agent
from streamgen.control.candidate_agent import CandidateAgent
from streamgen.control.candidate_learning import Objective
from streamgen.control.candidate_policy import load, shipped
from streamgen.control.direct import DirectSettings, direct
from streamgen.control.space import Space
from streamgen.settings import Settings

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class ReinforceSettings(Settings, frozen=True, kw_only=True):
    """Which policy, and how it learns.

    `policy = "candidate"` scores candidates by what the surrogate says of them, as it was taught on thousands of
    simulated problems, and goes on learning in the run where `learning_rate` is above 0: `steps` steps a reward, each
    choice weighted by at most `clip` for how likely it has become since, drawn back by `anchor`. `trials` are planned;
    `weights` names a file of `python -m benchmarks meta_training` in the place of the shipped ones.

    `policy = "direct"` draws the settings themselves; `direct` holds its settings.
    """

    policy: Literal["candidate", "direct"] = "candidate"
    trials: Count = 30
    learning_rate: Annotated[float, msgspec.Meta(ge=0)] = 0.002
    steps: Count = 2
    clip: Positive = 1.0
    anchor: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    weights: str | None = None
    direct: DirectSettings = DirectSettings()

    def check(self) -> None:
        """The settings of the direct policy must go together."""
        self.direct.check()


def reinforce(space: Space, seed: int, settings: ReinforceSettings) -> Agent:
    """An agent with the policy that the settings name."""
    if settings.policy == "direct":
        return direct(space, seed, settings.direct)
    begun = load(settings.weights) if settings.weights else shipped()
    objective = Objective(settings.learning_rate, settings.steps, settings.clip, settings.anchor)
    return CandidateAgent(space, seed, begun, settings.trials, objective if settings.learning_rate else None)
