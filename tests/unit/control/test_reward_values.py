from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamgen.control.agent import Reward
from streamgen.control.reward import TrialFacts, answer_of, close_reward, failed_reward, reward_of
from streamgen.errors import RewardError
from streamgen.record import Record


def test_the_named_metric_is_the_value_and_its_error_comes_along() -> None:
    reward = reward_of({"f1": 0.5, "f1_se": 0.1, "other": 3}, "f1", n=7)
    assert reward == Reward(value=0.5, metrics={"f1": 0.5, "f1_se": 0.1, "other": 3.0}, n=7, se=0.1)


def test_the_incumbents_value_is_the_baseline() -> None:
    assert reward_of({"f1": 0.5, "f1_baseline": 0.4}, "f1", n=7).baseline == 0.4
    assert reward_of({"f1": 0.5, "other_baseline": 0.4}, "f1", n=7).baseline is None


class Plain:
    metric = "count"

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> dict[str, float]:
        return {"count": float(len(records)), "pool": float(len(pool))}


class Factual(Plain):
    async def score(
        self, records: Sequence[Record], pool: Sequence[Record], *, facts: TrialFacts | None = None
    ) -> dict[str, float]:
        return {"count": float(facts.tickets if facts else -1)}


class Paired(Plain):
    async def score_paired(
        self, records: Sequence[Record], baseline_records: Sequence[Record], pool: Sequence[Record]
    ) -> dict[str, float]:
        return {"count": float(len(records)), "count_baseline": float(len(baseline_records))}


RECORDS = [Record("0"), Record("1")]
FACTS = TrialFacts(tickets=5, accepted=2)


async def test_a_function_is_asked_in_the_way_that_it_understands() -> None:
    assert await answer_of(Plain(), RECORDS, RECORDS[:1], FACTS, RECORDS) == {"count": 2.0, "pool": 1.0}
    assert await answer_of(Factual(), RECORDS, [], FACTS, RECORDS) == {"count": 5.0}
    assert await answer_of(Factual(), RECORDS, []) == {"count": -1.0}
    assert await answer_of(Paired(), RECORDS, [], FACTS, RECORDS[:1]) == {"count": 2.0, "count_baseline": 1.0}
    assert await answer_of(Paired(), RECORDS, [], FACTS) == {"count": 2.0, "pool": 0.0}


async def test_only_what_can_be_closed_is_closed() -> None:
    await close_reward(Plain())


def test_numpy_scalars_are_numbers() -> None:
    assert reward_of({"f1": np.float32(0.5)}, "f1", n=1).value == 0.5


def test_other_metrics_that_are_no_finite_numbers_are_left_out() -> None:
    raw = {"f1": 1, "a": math.nan, "b": "text", "c": None, "d": True, "e": math.inf}
    assert reward_of(raw, "f1", n=1).metrics == {"f1": 1.0}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([0.5], "expected a dict of metrics, got list"),
        (None, "got NoneType"),
        ({"f1s": 0.5}, "lack 'f1'; did you mean 'f1s'"),
        ({"f1": math.nan}, "finite number, not nan"),
        ({"f1": "0.5"}, "finite number, not '0.5'"),
        ({"f1": True}, "finite number, not True"),
    ],
)
def test_an_answer_without_a_usable_metric_is_an_error(metrics: Any, message: str) -> None:
    with pytest.raises(RewardError, match=message):
        reward_of(metrics, "f1", n=1)


def test_a_failure_has_no_value_but_a_reason_without_keys() -> None:
    reward = failed_reward(ValueError("denied sk-abcdefgh12345678"), n=3)
    assert reward == Reward(failed=True, error="ValueError: denied ***", n=3)
    assert failed_reward(RewardError("one class"), n=0).error == "one class"
