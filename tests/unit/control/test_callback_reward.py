from __future__ import annotations

import math
import sys
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import pytest

from streamgen.control.callback import Callback, CallbackSettings
from streamgen.control.reward import TrialFacts, answer_of, reward_of
from streamgen.errors import RecipeError, RewardError, UnknownName
from streamgen.record import Record

RECORDS = [Record("0", {"text": "a"}), Record("1", {"text": "b"})]


def callback(function: Any, **more: Any) -> Callback:
    return Callback(CallbackSettings(function=function, metric="score", **more))


async def test_a_sync_function_runs_off_the_event_loops_thread() -> None:
    seen: list[int] = []

    def function(records: list[Record]) -> dict[str, float]:
        seen.append(get_ident())
        return {"score": float(len(records))}

    assert await callback(function).score(RECORDS, []) == {"score": 2.0}
    assert seen != [get_ident()]


async def test_an_async_function_runs_on_the_event_loops_thread() -> None:
    async def function(records: list[Record]) -> dict[str, float]:
        return {"score": float(get_ident())}

    assert await callback(function).score(RECORDS, []) == {"score": float(get_ident())}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([0.5], "expected a dict of metrics, got list"),
        (None, "got NoneType"),
        ({"scores": 0.5}, "lack 'score'; did you mean 'scores'"),
        ({}, "lack 'score'; none are known"),
        ({"score": math.nan}, "must be a finite number, not nan"),
        ({"score": "0.5"}, "must be a finite number"),
    ],
)
async def test_an_answer_that_is_no_reward_is_refused_with_what_was_expected(answer: Any, message: str) -> None:
    reward = callback(lambda records: answer)
    metrics = await answer_of(reward, RECORDS, [], TrialFacts(tickets=2, accepted=2))
    with pytest.raises(RewardError, match=message):
        reward_of(metrics, reward.metric, 2)


async def test_an_object_with_an_async_call_is_awaited() -> None:
    class Scorer:
        async def __call__(self, records: list[Record]) -> dict[str, float]:
            return {"score": 4.0}

    assert await callback(Scorer()).score(RECORDS, []) == {"score": 4.0}


async def test_what_the_function_raises_comes_through() -> None:
    def function(records: list[Record]) -> dict[str, float]:
        raise KeyError("label")

    with pytest.raises(KeyError, match="label"):
        await callback(function).score(RECORDS, [])


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration()])
async def test_a_function_that_exits_only_fails(error: BaseException) -> None:
    def function(records: list[Record]) -> dict[str, float]:
        raise error

    with pytest.raises(RewardError, match=f"raised {type(error).__name__}"):
        await callback(function).score(RECORDS, [])


async def test_a_hanging_function_is_left_behind() -> None:
    release, ended = Event(), Event()

    def function(records: list[Record]) -> dict[str, float]:
        release.wait()
        ended.set()
        return {"score": 1.0}

    with pytest.raises(RewardError, match=r"no answer within timeout_s = 0\.01"):
        await callback(function, timeout_s=0.01).score(RECORDS, [])
    release.set()
    assert ended.wait(10)


async def test_a_function_is_found_beside_the_recipe_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_rewards.py").write_text("BONUS = 10.0\n")
    (tmp_path / "rewards.py").write_text(
        "from neighbour_of_rewards import BONUS\ndef score(records):\n    return {'score': BONUS + len(records)}\n"
    )
    before = list(sys.path)
    built = callback("rewards:score", directory=str(tmp_path))
    assert sys.path == before
    assert await built.score(RECORDS, []) == {"score": 12.0}


async def test_two_directories_may_have_modules_of_one_name(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rewards.py").write_text(f"def score(records):\n    return {{'score': {value}}}\n")
    built = [callback("rewards:score", directory=str(tmp_path / name)) for name in ("a", "b")]
    assert [await each.score(RECORDS, []) for each in built] == [{"score": 1.0}, {"score": 2.0}]


def test_an_installed_function_is_found() -> None:
    assert callback("statistics:fmean").metric == "score"


def refused(function: Any, directory: Path, message: str, kind: type[RecipeError] = RecipeError) -> None:
    with pytest.raises(kind, match=message) as caught:
        callback(function, directory=str(directory))
    assert caught.value.path == "$.controller.reward.function"


def test_a_function_that_cannot_be_had_is_refused_when_built(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('half done')\n")
    (tmp_path / "rewards.py").write_text("def score(records):\n    return {}\nLIMIT = 3\n")
    refused("rewards", tmp_path, 'expected "module:function"')
    refused(":score", tmp_path, 'expected "module:function"')
    refused(7, tmp_path, "not 7")
    refused("no_such_module:score", tmp_path, "cannot import 'no_such_module'.*beside the recipe")
    refused("broken:score", tmp_path, "RuntimeError: half done")
    refused("rewards:scor", tmp_path, "did you mean 'score'", UnknownName)
    refused("rewards:LIMIT", tmp_path, "unknown function", UnknownName)
