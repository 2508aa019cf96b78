"""What a reward function is, and how its metrics become a trial's reward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Protocol, cast, runtime_checkable

import msgspec

from streamgen.control.agent import Reward
from streamgen.errors import RewardError, suggestion
from streamgen.masking import mask
from streamgen.record import Record, Value

ERROR = "error/"  # before a class's name: a metric that is its error rate


class TrialFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial took: its tickets, the records accepted of them, tokens, money (None: unknown) and seconds."""

    tickets: int
    accepted: int
    tokens: int = 0
    usd: float | None = None
    seconds: float = 0.0


class RewardFunction(Protocol):
    """Says what a trial's records are worth. Registered as a class that takes its settings.

    It may wait, and it must not block the event loop. Whatever it raises fails the trial, not the run.
    What more it may have is in `FactualReward`, `PairedReward` and `ClosableReward`.
    """

    @property
    def metric(self) -> str:
        """Which of the metrics is the reward; more is better."""
        ...

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        """Metrics of the records that a trial got accepted (none at all, perhaps).

        `pool` holds accepted records of other trials. A metric `x` may come with its standard error as `x_se`, and
        the error rate of each class as `error/CLASS`. Raises RewardError where nothing can be said.
        """
        ...


class FactualReward(Protocol):
    """A reward function that also looks at what the trial took."""

    @property
    def metric(self) -> str:
        """Which of the metrics is the reward; more is better."""
        ...

    async def score(
        self, records: Sequence[Record], pool: Sequence[Record], *, facts: TrialFacts | None = None
    ) -> Mapping[str, float]:
        """As `RewardFunction.score`; `facts` is None where nobody knows them."""
        ...


@runtime_checkable
class PairedReward(Protocol):
    """A reward function that can compare a trial with the incumbent: the same pool, the same seeds."""

    @property
    def metric(self) -> str:
        """Which of the metrics is the reward; more is better."""
        ...

    async def score_paired(
        self, records: Sequence[Record], baseline_records: Sequence[Record], pool: Sequence[Record]
    ) -> Mapping[str, float]:
        """The metrics of `records`, and of the incumbent's under the same conditions as `METRIC_baseline`.

        `METRIC_difference` comes with a standard error that is smaller than the two levels' would tell.
        """
        ...


@runtime_checkable
class ClosableReward(Protocol):
    """A reward function that holds something, such as a worker process, until it is closed."""

    async def aclose(self) -> None:
        """Let go of it, whatever is still being computed; it may be closed more than once."""
        ...


async def answer_of(
    function: RewardFunction | FactualReward,
    records: Sequence[Record],
    pool: Sequence[Record],
    facts: TrialFacts | None = None,
    baseline: Sequence[Record] | None = None,
) -> Mapping[str, float]:
    """The function's metrics, asked in the way that it understands: with the facts, or paired with a baseline."""
    if baseline is not None and isinstance(function, PairedReward):
        return await function.score_paired(records, baseline, pool)
    if takes_facts(function):
        return await cast(FactualReward, function).score(records, pool, facts=facts)
    return await function.score(records, pool)


def takes_facts(function: RewardFunction | FactualReward) -> bool:
    """Whether `score` has the keyword `facts`."""
    return "facts" in signature(function.score).parameters


async def close_reward(function: RewardFunction | FactualReward) -> None:
    """Close the function, where there is something to close."""
    if isinstance(function, ClosableReward):
        await function.aclose()


def class_errors(metrics: Mapping[str, float]) -> dict[str, float]:
    """The error rate of each class that the metrics tell.

    >>> class_errors({"accuracy": 0.9, "error/song": 0.25})
    {'song': 0.25}
    """
    return {name.removeprefix(ERROR): value for name, value in metrics.items() if name.startswith(ERROR)}


def reward_of(metrics: object, metric: str, n: int) -> Reward:
    """The reward that a reward function's answer means; `METRIC_se` and `METRIC_baseline` come along.

    Raises RewardError where the metric is missing or no number.
    """
    if not isinstance(metrics, Mapping):
        raise RewardError(f"expected a dict of metrics, got {type(metrics).__name__}")
    if metric not in metrics:
        raise RewardError(f"the metrics lack {metric!r}{suggestion(metric, map(str, metrics))}")
    value = _number(metrics[metric])
    if value is None:
        raise RewardError(f"the metric {metric!r} must be a finite number, not {metrics[metric]!r}")
    numbers = {str(name): number for name, raw in metrics.items() if (number := _number(raw)) is not None}
    se, baseline = numbers.get(f"{metric}_se"), numbers.get(f"{metric}_baseline")
    return Reward(value=value, metrics=numbers, n=n, se=se, baseline=baseline)


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
