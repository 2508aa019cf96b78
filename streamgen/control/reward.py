"""What a reward function is, and how its metrics become a trial's reward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from streamgen.control.agent import Reward
from streamgen.errors import RewardError, suggestion
from streamgen.masking import mask
from streamgen.record import Record, Value


class RewardFunction(Protocol):
    """Says what a trial's records are worth. Registered as a class that takes its settings.

    It may wait, and it must not block the event loop. Whatever it raises fails the trial, not the run.
    """

    @property
    def metric(self) -> str:
        """Which of the metrics is the reward; more is better."""
        ...

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        """Metrics of the records that a trial got accepted (none at all, perhaps).

        `pool` holds accepted records of other trials. A metric `x` may come with its standard error as `x_se`.
        Raises RewardError where nothing can be said.
        """
        ...


def reward_of(metrics: object, metric: str, n: int) -> Reward:
    """The reward that a reward function's answer means. Raises RewardError where the metric is missing or no number."""
    if not isinstance(metrics, Mapping):
        raise RewardError(f"expected a dict of metrics, got {type(metrics).__name__}")
    if metric not in metrics:
        raise RewardError(f"the metrics lack {metric!r}{suggestion(metric, map(str, metrics))}")
    value = _number(metrics[metric])
    if value is None:
        raise RewardError(f"the metric {metric!r} must be a finite number, not {metrics[metric]!r}")
    numbers = {str(name): number for name, raw in metrics.items() if (number := _number(raw)) is not None}
    return Reward(value=value, metrics=numbers, n=n, se=numbers.get(f"{metric}_se"))


def failed_reward(error: Exception, n: int) -> Reward:
    """The reward of a trial that could not be measured."""
    text = str(error) if isinstance(error, RewardError) else f"{type(error).__name__}: {error}"
    return Reward(failed=True, error=mask(text), n=n)


def _number(value: Value) -> float | None:
    """NumPy's scalars count as numbers; booleans, infinities and NaN do not."""
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        return None
    number = float(value)
    return number if math.isfinite(number) else None
