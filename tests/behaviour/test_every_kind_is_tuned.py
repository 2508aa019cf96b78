"""Every kind of setting that stages have today is tuned in a run: tickets of a trial are made with its settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from runs import make, model

import streamgen
from streamgen.llm.model import CompletionRequest, Request
from streamgen.record import Record
from streamgen.testing import Scripted, prompt_of

SEEDS = [
    *({"text": f"play song {n}", "label": "music"} for n in "abcdef"),
    *({"text": f"is it raining in town {n}", "label": "weather"} for n in "abcdef"),
]
LABELLED = {"name": "make", "type": "labelled", "model": "main"}
CHAT = {"name": "make", "type": "chat", "model": "main", "prompt": "{{ n }}", "output": "text", "temperature": 1.0}


def seen(records: Sequence[Record]) -> Mapping[str, float]:
    return {"n": len(records)}


def said(request: Request) -> str:
    """A different text each time, of a length that varies."""
    text = prompt_of(request)
    return " ".join(f"w{(len(text) * 7 + place) % 97}" for place in range(2 + len(text) % 9))


class Tuned:
    """A run over one parameter: its trials with their records, and what the model was asked by trial."""

    def __init__(
        self, folder: Path, name: str, over: Mapping[str, Any], *stages: Mapping[str, Any], **more: Any
    ) -> None:
        (folder / "seeds.jsonl").write_text("\n".join(map(json.dumps, SEEDS)))
        self.main: Scripted = model(said)
        placed = [{**stage, **({"seeds": str(folder / "seeds.jsonl")} if "labelled" in stage.values() else {})}
                  for stage in stages]  # fmt: skip
        rows = [{"n": n, "text": f"{' '.join('xyz'[: n % 3 + 1])} {n}", "instruction": f"do {n}"} for n in range(32)]
        recipe = make(
            self.main, 32, placed, source={"type": "list", "rows": rows}, sinks=[{"type": "list"}],
            run={"tickets_in_flight": 1},
            controller={"agent": "random_search", "batch": 4, "trials": 8, "recheck": 0, "space": {name: over},
                        "reward": {"type": "callback", "function": seen, "metric": "n"}, **more},
        )  # fmt: skip
        self.summary = streamgen.run(recipe, directory=folder / "run")
        assert self.summary.trials is not None
        self.trials = [result.trial for result in self.summary.trials.trials]
        self.values: list[Any] = [trial.stage_settings.get(name) for trial in self.trials]
        assert all(result.reward is not None and not result.reward.failed for result in self.summary.trials.trials)

    def asked(self, trial: int) -> list[Request]:
        """The calls of a trial, one a ticket."""
        return self.main.requests[4 * trial : 4 * trial + 4]


@pytest.fixture
def tuned(tmp_path: Path) -> Callable[..., Tuned]:
    return lambda *args, **more: Tuned(tmp_path, *args, **more)


def records_of(folder: Path) -> list[Record]:
    from streamgen.inspection import records

    return [row.record for row in records(folder / "run", 1000)]


def test_a_filters_threshold(tuned: Callable[..., Tuned], tmp_path: Path) -> None:
    length = {"name": "short", "type": "length", "column": "text", "max_words": 3}
    run = tuned("short.max_words", {"low": 2, "high": 4}, length)
    assert set(run.values) == {2, 3, 4}
    for record in records_of(tmp_path):
        assert len(record.text("text").split()) <= run.values[record.meta.trial or 0]


def test_the_strength_of_a_filter_by_similarity(tuned: Callable[..., Tuned]) -> None:
    near = {"name": "new", "type": "near_duplicate", "column": "text"}
    assert len(set(tuned("new.threshold", {"low": 0.5, "high": 1.0}, near).values)) == 8


def test_a_prompt_template(tuned: Callable[..., Tuned]) -> None:
    prompts = ["{{ n }}", "Please: {{ n }}", "{{ n }}!"]
    run = tuned("make.prompt", {"choices": prompts}, CHAT)
    assert set(run.values) == set(prompts)
    for trial, prompt in enumerate(run.values):
        expected = [prompt.replace("{{ n }}", str(4 * trial + place)) for place in range(4)]
        assert [prompt_of(request) for request in run.asked(trial)] == expected


def test_how_it_samples(tuned: Callable[..., Tuned]) -> None:
    run = tuned("make.temperature", {"low": 0.1, "high": 2.0, "log": True}, CHAT)
    asked = [{getattr(request, "temperature") for request in run.asked(trial)} for trial in range(8)]  # noqa: B009
    assert asked == [{value} for value in run.values]


def test_how_deeply_texts_are_evolved(tuned: Callable[..., Tuned]) -> None:
    evolve = {"name": "make", "type": "evol_instruct", "model": "main", "failed": "keep", "rounds": 2}
    run = tuned("make.rounds", {"low": 1, "high": 3}, evolve)
    assert set(run.values) == {1, 2, 3}
    assert len(run.main.requests) == 4 * sum(run.values)


def test_how_many_examples_stand_in_the_prompt(tuned: Callable[..., Tuned]) -> None:
    run = tuned("make.shots", {"low": 1, "high": 5}, {**LABELLED, "method": "list"})
    assert len(set(run.values)) > 2
    for trial, shots in enumerate(run.values):
        lists = [request.prompt for request in run.asked(trial) if isinstance(request, CompletionRequest)]
        assert [text.count('"\n') for text in lists] == [shots] * 4


def test_the_method(tuned: Callable[..., Tuned]) -> None:
    run = tuned("make.method", {"choices": ["list", "zero_shot"]}, {**LABELLED, "method": "list"})
    for trial, method in enumerate(run.values):
        assert {isinstance(request, CompletionRequest) for request in run.asked(trial)} == {method == "list"}
    assert set(run.values) == {"list", "zero_shot"}


def test_the_mixture_of_methods(tuned: Callable[..., Tuned]) -> None:
    mixed = {**LABELLED, "method": {"list": 1.0, "zero_shot": 1.0}}
    run = tuned("make.method", {"simplex": ["list", "zero_shot"]}, mixed)
    shares = [value["list"] for value in run.values[1:]]
    assert len(set(shares)) == 7
    lists = [sum(isinstance(request, CompletionRequest) for request in run.asked(trial)) for trial in range(1, 8)]
    assert abs(sum(lists) - 4 * sum(shares)) < 8  # two standard deviations of 28 draws and more


def test_the_quotas_of_classes(tuned: Callable[..., Tuned], tmp_path: Path) -> None:
    quotas = {**LABELLED, "method": "list", "classes": {"music": 1.0, "weather": 1.0}}
    run = tuned("make.classes", {"simplex": ["music", "weather"]}, quotas)
    music = [record.text("label") == "music" for record in records_of(tmp_path) if record.meta.trial]
    assert abs(sum(music) - 4 * sum(value["music"] for value in run.values[1:])) < 8


def test_quotas_that_follow_what_is_missing(tuned: Callable[..., Tuned]) -> None:
    quotas = {**LABELLED, "method": "list", "classes": {"music": 9.0, "weather": 1.0}}
    over = {"simplex": ["music", "weather"], "features": ["deficit"]}
    run = tuned("make.classes", over, quotas, label="label", wanted={"music": 1.0, "weather": 9.0})
    theta = [trial.settings["make.classes[deficit]"] for trial in run.trials[1:]]
    weather = [trial.stage_settings["make.classes"]["weather"] for trial in run.trials[1:]]
    assert run.values[0] is None  # the recipe's own shares
    for share, strength in zip(weather, theta, strict=True):  # of weather there is too little all the time
        assert (share - 0.5) * strength > 0
    assert len(set(weather)) == 7
