"""Shares that follow the state of the data: what is tuned is how much each feature of a part counts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from streamgen.control.agent import Observation

OBSERVED = ("coverage", "deficit", "errors")
"""What an observation knows of each part."""


class Feature(msgspec.Struct, frozen=True):
    """A number for each part: constants, or where there are none, the observation's field of this name."""

    name: str
    constants: Mapping[str, float] | None = None

    def of(self, part: str, observation: Observation) -> float:
        """The part's number; 0 where the observation does not know it."""
        if self.constants is not None:
            return self.constants[part]
        known: Mapping[str, float] = getattr(observation, self.name)
        return known.get(part, 0.0)


class Mixture(msgspec.Struct, frozen=True):
    """Shares = softmax(theta . features): theta is tuned, one number a feature, as the parameter `setting[feature]`.

    The weights are set anew for each trial, so that one theta tells how quotas follow what is missing.
    """

    parts: tuple[str, ...]
    features: tuple[Feature, ...]

    def names(self, setting: str) -> list[str]:
        """The parameters that make up theta, in the order of the features."""
        return [f"{setting}[{feature.name}]" for feature in self.features]

    def shares(self, theta: list[float], observation: Observation) -> dict[str, float]:
        """The shares of all parts, which sum to 1.

        >>> two = Mixture(("a", "b"), (Feature("deficit"),))
        >>> two.shares([math.log(3)], Observation(step=1, deficit={"a": 1.0}))
        {'a': 0.75, 'b': 0.25}
        """
        scores = [
            sum(weight * feature.of(part, observation) for weight, feature in zip(theta, self.features, strict=True))
            for part in self.parts
        ]
        powers = [math.exp(score - max(scores)) for score in scores]
        return {part: power / sum(powers) for part, power in zip(self.parts, powers, strict=True)}
