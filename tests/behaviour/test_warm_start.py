"""What one run has learned, another begins with; also where its space is another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from runs import make, model

import streamgen
from streamgen.control.agent import Reward, Trial
from streamgen.control.parameters import Categorical, Float
from streamgen.control.results import TrialResult
from streamgen.control.space import Space
from streamgen.control.warm_start import carry_over
from streamgen.errors import RecipeError
from streamgen.record import Record
from streamgen.summary import Summary

TEMPERATURE = {"answer.temperature": {"low": 0.0, "high": 1.0}}
STAGE = {"name": "answer", "type": "chat", "model": "main", "prompt": "{{ n }}", "temperature": 0.25, "top_p": 0.75}


def score(records: Sequence[Record]) -> Mapping[str, float]:
    return {"reward": 1 - abs(records[0].meta.settings.get("answer.temperature", 0.0) - 0.7)}


def run(directory: Path, accept: int = 24, **controller: Any) -> Summary:
    defaults = {"batch": 4, "trials": 6, "recheck": 0, "space": TEMPERATURE,
                "reward": {"type": "callback", "function": score, "metric": "reward"}}  # fmt: skip
    limits = {"tickets_in_flight": 1, "accept": accept}
    recipe = make(model(["yes"]), 24, [STAGE], controller={**defaults, **controller}, run=limits)
    return streamgen.run(recipe, directory=directory)


def trial(id_: int, value: float | None, **settings: Any) -> TrialResult:
    reward = Reward(failed=True) if value is None else Reward(value=value)
    return TrialResult(Trial(id=id_, first_ticket=id_, tickets=1, settings=settings, kind="explore"), reward)


def test_a_run_begins_with_what_an_earlier_one_has_learned(tmp_path: Path) -> None:
    first = run(tmp_path / "first")
    assert first.trials is not None and first.trials.recommended is not None
    second = run(tmp_path / "second", accept=4, trials=1, warm_start=str(tmp_path / "first"))
    assert second.trials is not None
    assert second.trials.recommended == first.trials.recommended
    assert second.trials.notes == (f"began with 6 of 6 rewards of {tmp_path / 'first'}",)


def test_a_run_that_goes_on_begins_with_the_same_also_when_the_earlier_one_is_gone(tmp_path: Path) -> None:
    run(tmp_path / "first")
    began = run(tmp_path / "second", accept=4, trials=1, warm_start=str(tmp_path / "first"))
    (tmp_path / "first" / "run.db").unlink()
    went_on = run(tmp_path / "second", accept=4, trials=1)
    assert began.trials is not None and went_on.trials is not None
    assert went_on.trials.recommended == began.trials.recommended
    assert went_on.trials.notes == began.trials.notes


def test_a_warm_start_from_nowhere_or_from_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no run"):
        run(tmp_path / "second", warm_start=str(tmp_path / "first"))
    run(tmp_path / "first", accept=2)
    with pytest.raises(RecipeError, match=r"nothing can be learned from .*: began with 0 of 0 rewards"):
        run(tmp_path / "third", warm_start=str(tmp_path / "first"))


def test_a_run_with_another_space_is_refused_with_each_difference(tmp_path: Path) -> None:
    run(tmp_path / "run", accept=8)
    wider = {"answer.temperature": {"low": 0.0, "high": 1.5}, "answer.top_p": {"low": 0.5, "high": 1.0}}
    with pytest.raises(RecipeError) as caught:
        run(tmp_path / "run", accept=8, space=wider)
    said = str(caught.value)
    assert "$.controller.space.answer.temperature.high: 1.0 -> 1.5" in said
    assert "$.controller.space.answer.top_p: null ->" in said
    assert f"or let it learn on with --warm-start {tmp_path / 'run'}" in said


def test_with_a_warm_start_from_itself_a_run_goes_on_with_another_space(tmp_path: Path) -> None:
    run(tmp_path / "run", accept=10)
    wider = {"answer.temperature": {"low": 0.0, "high": 1.5}, "answer.top_p": {"low": 0.5, "high": 1.0}}
    for accept in (18, 24):  # the second time it only goes on
        summary = run(tmp_path / "run", accept, space=wider, warm_start=str(tmp_path / "run"))
    assert summary.trials is not None
    assert summary.trials.notes == (
        "began with 2 of 2 rewards of its own earlier trials",
        "answer.top_p was not tuned there: its value is taken to be 0.75, as that recipe had it",
    )
    found = [
        (result.trial.kind, len(result.trial.settings), result.reward is not None) for result in summary.trials.trials
    ]
    assert found == [
        ("default", 1, True), ("explore", 1, True), ("explore", 1, False),
        ("default", 2, True), ("explore", 2, True), ("explore", 2, True),
    ]  # fmt: skip


def test_other_changes_are_refused_all_the_same(tmp_path: Path) -> None:
    run(tmp_path / "run", accept=8)
    other = make(model(["yes"]), 8, [{**STAGE, "prompt": "what is {{ n }}?"}],
                 controller={"space": TEMPERATURE, "warm_start": str(tmp_path / "run"),
                             "reward": {"type": "callback", "function": score, "metric": "reward"}})  # fmt: skip
    with pytest.raises(RecipeError, match=r"\$\.stages\.answer\.prompt"):
        streamgen.run(other, directory=tmp_path / "run")


def test_settings_are_matched_by_name_and_each_difference_is_told() -> None:
    space = Space({"a.t": Float(0.0, 1.0), "a.m": Categorical(("x", "y")), "b.p": Float(0.0, 1.0)})
    results = [
        trial(0, 0.5, **{"a.t": 0.5, "a.m": "x", "a.gone": 3}),
        trial(1, 0.6, **{"a.t": 1.5, "a.m": "x", "a.gone": 4}),
        trial(2, 0.7, **{"a.t": 0.5, "a.m": "z", "a.gone": 5}),
        trial(3, None, **{"a.t": 0.2, "a.m": "y", "a.gone": 6}),
    ]
    carried = carry_over(results, {"b.p": 0.25}, space, {"b.p": 0.5, "a.gone": 2}, "runs/old")
    assert carried.told == [({"a.t": 0.5, "a.m": "x", "b.p": 0.25}, Reward(value=0.5))]
    assert carried.notes == [
        "began with 1 of 3 rewards of runs/old",
        "1 of them had a.t outside of its range here",
        "1 of them had a.m outside of its range here",
        "b.p was not tuned there: its value is taken to be 0.25, as that recipe had it",
        "a.gone was tuned there and is not here, where it is 2: those rewards may not hold",
    ]


def test_what_counts_only_beside_others_is_left_out_where_it_does_not() -> None:
    space = Space({"a.m": Categorical(("x", "y")), "a.d": Float(0.0, 1.0)}, conditions={"a.d": {"a.m": ("y",)}})
    carried = carry_over([trial(0, 0.5, **{"a.m": "x"}), trial(1, 0.6, **{"a.m": "y", "a.d": 0.5})], {}, space, {}, "r")
    assert [settings for settings, _ in carried.told] == [{"a.m": "x"}, {"a.m": "y", "a.d": 0.5}]
