"""The reward `weighted`: a sum of several rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Annotated, NamedTuple

import msgspec

from streamgen.control.agent import Reward
from streamgen.control.build import build_reward
from streamgen.control.reward import (
    PairedReward,
    RewardFunction,
    TrialFacts,
    answer_of,
    close_reward,
    reward_of,
)
from streamgen.errors import FatalError, RecipeError, RewardError
from streamgen.record import Record, Value
from streamgen.settings import Settings

_PATH = "$.controller.reward"
_OWN = ("weight", "otherwise")


class WeightedSettings(Settings, frozen=True, kw_only=True):
    """`parts` are rewards by a name of yours: each a `type` with its settings, and a `weight` (1 unless set).

    A part that fails fails the whole, unless it says what it counts as `otherwise`.
    """

    parts: Annotated[Mapping[str, Mapping[str, Value]], msgspec.Meta(min_length=1)]
    directory: str | None = None


class Part(NamedTuple):
    """A reward that counts."""

    name: str
    function: RewardFunction
    weight: float
    otherwise: float | None


class _Weight(msgspec.Struct, frozen=True):
    weight: float = 1.0
    otherwise: float | None = None


class Weighted:
    """Metrics `weighted`, and each part's own as `PART.METRIC`; the parts are asked one after the other."""

    metric = "weighted"

    def __init__(self, settings: WeightedSettings) -> None:
        self._parts = [_part(name, raw, settings.directory) for name, raw in settings.parts.items()]
        if all(isinstance(part.function, PairedReward) for part in self._parts):
            self.score_paired = self._score_paired  # so that it is a PairedReward only where all parts are

    async def score(
        self, records: Sequence[Record], pool: Sequence[Record], *, facts: TrialFacts | None = None
    ) -> Mapping[str, float]:
        """The sum and the parts' metrics. Raises RewardError, with the part's name, where one fails."""
        return _summed([(part, await _asked(part, records, pool, facts, None)) for part in self._parts])

    async def _score_paired(
        self, records: Sequence[Record], baseline_records: Sequence[Record], pool: Sequence[Record]
    ) -> Mapping[str, float]:
        """The same, beside what the incumbent's records come to."""
        return _summed([(part, await _asked(part, records, pool, None, baseline_records)) for part in self._parts])

    async def aclose(self) -> None:
        """Close the parts."""
        for part in self._parts:
            await close_reward(part.function)


def _part(name: str, raw: Mapping[str, Value], directory: str | None) -> Part:
    path = f"{_PATH}.parts.{name}"
    own = {key: value for key, value in raw.items() if key in _OWN}
    try:
        weight = msgspec.convert(own, _Weight)
        function = build_reward({key: value for key, value in raw.items() if key not in _OWN}, directory, path)
    except msgspec.ValidationError as error:
        raise RecipeError(str(error), path) from None
    except RecipeError as error:  # a reward's own checks take it for the whole one
        at = error.path if error.path.startswith(path) else error.path.replace(_PATH, path, 1)
        raise RecipeError(error.message, at) from error
    return Part(name, function, weight.weight, weight.otherwise)


async def _asked(
    part: Part,
    records: Sequence[Record],
    pool: Sequence[Record],
    facts: TrialFacts | None,
    baseline: Sequence[Record] | None,
) -> Reward:
    try:
        answer = await answer_of(part.function, records, pool, facts, baseline)
        return reward_of(answer, part.function.metric, len(records))
    except FatalError:
        raise
    except Exception as error:  # whatever it is, it is this part's
        if part.otherwise is None:
            text = str(error) if isinstance(error, RewardError) else f"{type(error).__name__}: {error}"
            raise RewardError(f"the part {part.name!r}: {text}") from error
        return Reward(value=part.otherwise, se=0.0, baseline=part.otherwise, metrics={"failed": 1.0})


def _summed(asked: Sequence[tuple[Part, Reward]]) -> dict[str, float]:
    """The sums. There is a standard error, or a baseline, only where all parts have one."""
    metrics = {"weighted": sum(part.weight * (reward.value or 0.0) for part, reward in asked)}
    if all(reward.se is not None for _, reward in asked):
        metrics["weighted_se"] = sqrt(sum((part.weight * (reward.se or 0.0)) ** 2 for part, reward in asked))
    if all(reward.baseline is not None for _, reward in asked):
        metrics["weighted_baseline"] = sum(part.weight * (reward.baseline or 0.0) for part, reward in asked)
    for part, reward in asked:
        own = reward.metrics.items()
        metrics |= {name if name.startswith("error/") else f"{part.name}.{name}": value for name, value in own}
    return metrics
