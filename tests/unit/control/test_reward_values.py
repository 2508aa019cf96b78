from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from streamgen.control.agent import Reward
from streamgen.control.reward import failed_reward, reward_of
from streamgen.errors import RewardError


def test_the_named_metric_is_the_value_and_its_error_comes_along() -> None:
    reward = reward_of({"f1": 0.5, "f1_se": 0.1, "other": 3}, "f1", n=7)
    assert reward == Reward(value=0.5, metrics={"f1": 0.5, "f1_se": 0.1, "other": 3.0}, n=7, se=0.1)


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
