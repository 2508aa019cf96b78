"""What a controller has found out, typed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from streamgen.control.agent import Reward, Trial
from streamgen.record import Value


class TrialResult(msgspec.Struct, frozen=True):
    """A trial, and its reward where it has one already."""

    trial: Trial
    reward: Reward | None

    @property
    def value(self) -> float | None:
        """The reward's value; None while it waits, and where it failed."""
        return self.reward.value if self.reward else None


class ControllerSummary(msgspec.Struct, frozen=True):
    """Every trial so far and the settings that the agent recommends.

    `best` is the trial with the highest single reward: the luckiest draw, which is seldom as good when run again.
    `notes` tell how what an earlier run had learned was used.
    """

    trials: tuple[TrialResult, ...]
    recommended: Mapping[str, Value] | None
    best: int | None
    notes: tuple[str, ...] = ()

    @property
    def again(self) -> list[TrialResult]:
        """Recommended settings that were run again, in order: a drift shows there."""
        return [result for result in self.trials if result.trial.kind == "incumbent" and result.reward]

    @property
    def failed(self) -> list[TrialResult]:
        """Trials that could not be rewarded."""
        return [result for result in self.trials if result.reward and result.reward.value is None]

    @property
    def is_lost(self) -> bool:
        """Whether there were rewards, and every one of them failed: nothing was learned."""
        return bool(self.failed) and all(result.value is None for result in self.trials)
