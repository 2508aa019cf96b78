"""`streamgen tune`: a budget is spent on learning, what was chosen is run again, the tuned recipe is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from runs import make, model, query

from streamgen.cli import main as cli
from streamgen.errors import RecipeError
from streamgen.llm.budget import Budget
from streamgen.llm.model import Response
from streamgen.opening import run_async
from streamgen.recipe import Recipe
from streamgen.record import Record, Usage
from streamgen.runs import Run
from streamgen.summary import Summary
from streamgen.testing import Scripted
from streamgen.toml_text import toml_text
from streamgen.tune import Tuned, Wish, tune, tuned_recipe

STAGE = {"name": "answer", "type": "chat", "model": "main", "prompt": "{{ n }}", "temperature": 0.1}
SPACE = {"answer.temperature": {"low": 0.0, "high": 1.0}}


def near(records: Sequence[Record]) -> Mapping[str, float]:
    """Best at 0.7; every seventh batch is lucky."""
    lucky = 0.5 if records[0].meta.trial == 5 else 0.0
    return {"reward": 1 - abs(records[0].meta.settings["answer.temperature"] - 0.7) + lucky, "reward_se": 0.25}


def recipe(reward: Any = near, main: Scripted | None = None, **controller: Any) -> Recipe:
    return make(
        main or model(["yes"]), 10, [STAGE], run={"tickets_in_flight": 2},
        controller={"batch": 4, "trials": 8, "space": SPACE,
                    "reward": {"type": "callback", "function": reward, "metric": "reward"}, **controller},
    )  # fmt: skip


async def finish(run: Run) -> Summary:
    return await run.finish()


def tuned(directory: Path, made: Recipe | None = None, **wish: Any) -> Tuned:
    found = run_async(lambda: tune(made or recipe(), directory, Wish(**wish), finish))
    assert isinstance(found, Tuned)
    return found


def kinds(directory: Path) -> list[str]:
    return [json.loads(body)["kind"] for (body,) in query(directory, "SELECT body FROM trials ORDER BY id")]


def test_what_was_chosen_is_run_again_and_told_beside_the_luckiest_batch(tmp_path: Path) -> None:
    found = tuned(tmp_path, trials=7, reruns=3)
    assert kinds(tmp_path) == ["default", *["explore"] * 6, *["incumbent"] * 3]
    assert (found.trials, found.failed, len(found.reruns)) == (7, 0, 3)
    assert found.default == pytest.approx(0.4)
    assert found.best is not None and found.best.trial.id == 5 and found.best.value is not None
    chosen = found.settings["answer.temperature"]
    assert found.reruns == [pytest.approx(1 - abs(chosen - 0.7))] * 3
    assert found.again.value == pytest.approx(found.reruns[0])
    assert found.again.low == pytest.approx(found.reruns[0])
    assert found.best.value > 1.2  # nobody will see that again
    assert found.gain is not None and found.gain > 0


def test_the_cost_is_that_of_exploring(tmp_path: Path) -> None:
    priced = model(lambda request: Response("fine", usage=Usage(20, 10, cost_usd=0.5)))
    found = tuned(tmp_path, recipe(main=priced), trials=3, reruns=2)
    assert (found.cost.requests, found.cost.usd) == (12, 6.0)
    assert (found.total.requests, found.total.usd) == (20, 10.0)


@pytest.mark.parametrize(("wish", "trials"), [({}, 8), ({"tickets": 12}, 3), ({"trials": 5, "tickets": 40}, 5)])
def test_without_a_wish_the_recipes_trials_are_made(wish: dict[str, int], trials: int, tmp_path: Path) -> None:
    assert tuned(tmp_path, recipe(recheck=0), reruns=0, **wish).trials == trials


def test_a_budget_leaves_a_fifth_for_running_again(tmp_path: Path) -> None:
    found = tuned(tmp_path, budget=Budget(requests=50), reruns=2)
    assert found.cost.requests == 40
    assert found.total.requests == 48
    assert (found.trials, len(found.reruns)) == (10, 2)


def test_given_again_nothing_is_paid_twice(tmp_path: Path) -> None:
    first, again = model(["yes"]), model(["yes"])
    found = tuned(tmp_path, recipe(main=first), trials=4, reruns=2)
    assert len(first.requests) == 24
    assert tuned(tmp_path, recipe(main=again), trials=4, reruns=2).settings == found.settings
    assert again.requests == []


def test_when_every_reward_fails_it_says_so(tmp_path: Path) -> None:
    def broken(records: Sequence[Record]) -> Mapping[str, float]:
        raise KeyError("label")

    with pytest.raises(RecipeError, match=r"all 3 rewards failed; the last error: KeyError: 'label'"):
        tuned(tmp_path, recipe(broken), trials=3)


def test_a_recipe_without_a_controller_has_nothing_to_tune(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no \[controller\]"):
        tuned(tmp_path, make(model(["yes"]), 3, [STAGE]))


def test_the_tuned_recipe_has_the_settings_and_no_controller() -> None:
    raw = {"name": "a", "stages": [{"name": "x", "type": "chat", "top_p": 1.0}, {"name": "y", "type": "length"}],
           "controller": {"batch": 3}}  # fmt: skip
    assert tuned_recipe(raw, {"x.temperature": 0.5, "x.top_p": 0.9, "y.max_words": 3, "y.min_words": None}) == {
        "name": "a",
        "stages": [
            {"name": "x", "type": "chat", "top_p": 0.9, "temperature": 0.5},
            {"name": "y", "type": "length", "max_words": 3},
        ],
    }  # fmt: skip


REWARD = """
def score(records):
    return {"reward": 1 - abs(records[0].meta.settings["length.max_words"] - 7) / 10}
"""


def in_a_folder(folder: Path, *options: str, reward: str = REWARD) -> Result:
    raw: dict[str, Any] = {
        "name": "words",
        "source": {"type": "list", "rows": [{"text": "a b c"}]},
        "stages": [{"name": "length", "type": "length", "column": "text", "max_words": 4}],
        "sinks": [{"type": "jsonl", "path": "out.jsonl"}],
        "controller": {"batch": 4, "trials": 6, "space": {"length.max_words": {"low": 3, "high": 12}},
                       "reward": {"type": "callback", "function": "score_words:score", "metric": "reward"}},
    }  # fmt: skip
    (folder / "score_words.py").write_text(reward)
    (folder / "recipe.toml").write_text(toml_text(raw))
    return CliRunner().invoke(cli, ["tune", str(folder / "recipe.toml"), "--out", str(folder / "run"), *options])


def test_the_command_writes_a_recipe_that_runs(tmp_path: Path) -> None:
    result = in_a_folder(tmp_path, "--write", str(tmp_path / "tuned.toml"))
    assert result.exit_code == 0, result.output
    assert "what was chosen, run again" in result.output
    text = (tmp_path / "tuned.toml").read_text()
    assert text.startswith("# words, tuned by streamgen ")
    assert 'warm_start = "run"' in text
    written = Recipe.load(tmp_path / "tuned.toml")
    assert written.controller is None
    ran = CliRunner().invoke(cli, ["run", str(tmp_path / "tuned.toml"), "--out", str(tmp_path / "made"), "--json"])
    assert json.loads(ran.stdout)["statistics"]["accepted"] == 1


def test_the_command_prints_json(tmp_path: Path) -> None:
    result = in_a_folder(tmp_path, "--json", "--trials", "4", "--reruns", "2")
    found = json.loads(result.stdout)
    assert (found["trials"], len(found["reruns"]), list(found["settings"])) == (4, 2, ["length.max_words"])


def test_a_tuned_recipe_where_its_files_are_not_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    raw = {
        "source": {"type": "jsonl", "path": "rows.jsonl"},
        "stages": [{"name": "a", "type": "length", "column": "x"}],
    }
    (tmp_path / "rows.jsonl").write_text('{"x": "y"}')
    from streamgen.command_tune import write_tuned

    made = tuned(tmp_path / "run", trials=2, reruns=0)
    with pytest.raises(RecipeError, match="write it beside the recipe"):
        write_tuned(Recipe.parse(raw, tmp_path), msgspec.structs.replace(made, settings={}),
                    tmp_path / "elsewhere" / "tuned.toml")  # fmt: skip
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_only_toml_is_written(tmp_path: Path) -> None:
    result = in_a_folder(tmp_path, "--write", "tuned.json")
    assert result.exit_code == 2
    assert "ends in .toml" in result.output
