"""Rewards inside a run: what a trial took reaches them, one that fails does not stop it, its process ends with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

import streamgen
from streamgen.control.controller import ControllerSummary
from streamgen.recipe import Recipe
from streamgen.testing import scripted

SNIPS = Path(__file__).parents[1] / "unit" / "control"
BATCH = 10


def trials_of(reward: dict[str, Any], accept: int = 3 * BATCH) -> ControllerSummary:
    raw = {
        "models": {"main": {"base_url": "http://127.0.0.1:1/v1", "model": "x"}},
        "source": {"type": "jsonl", "path": str(SNIPS / "snips_train.jsonl")},
        "stages": [{"name": "ask", "type": "chat", "model": "main", "prompt": "{{ text }}", "output": "said"}],
        "controller": {
            "batch": BATCH,
            "trials": 3,
            "reward": reward,
            "space": {"ask.temperature": {"low": 0.1, "high": 1.0}},
        },
        "run": {"accept": accept},
    }
    recipe = msgspec.structs.replace(Recipe.parse(raw), models={"main": scripted(["yes please"])})
    summary = streamgen.run(recipe).trials
    assert summary is not None
    return summary


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_sum_of_rewards_knows_what_each_trial_took_and_leaves_no_process() -> None:
    before = children()
    validation = str(SNIPS / "snips_validation.jsonl")
    parts = {
        "quality": {"type": "classifier", "validation": validation, "resamples": 2},
        "got": {"type": "acceptance", "per": "1000_tokens", "weight": 0.0},
        "variety": {"type": "diversity", "weight": 0.01},
        "liked": {"type": "judge", "column": "said", "otherwise": 0.0},
    }
    rewards = [result.reward for result in trials_of({"type": "weighted", "parts": parts}).trials if result.reward]
    assert len(rewards) == 3
    for reward in rewards:
        metrics = reward.metrics
        assert reward.value == pytest.approx(metrics["quality.accuracy"] + 0.01 * metrics["variety.vendi"])
        assert metrics["got.per_ticket"] == 1.0
        assert metrics["got.per_1000_tokens"] > 0
        assert metrics["liked.failed"] == 1.0
        assert len([name for name in metrics if name.startswith("error/")]) == 7
    assert children() <= before


def test_a_reward_that_always_fails_fails_its_trials_and_the_run_goes_on() -> None:
    summary = trials_of({"type": "judge", "column": "said"})
    failures = [result.reward for result in summary.trials if result.reward]
    assert len(failures) == 3
    assert all(reward.failed and reward.value is None for reward in failures)
    assert {reward.error for reward in failures} == {"none of the trial's 10 records has a number in 'said'"}
