"""The closed loop: its rows are split cleanly, it goes on where it stopped, its figures are what they say."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from benchmarks.closed_loop import command as closed_loop
from benchmarks.closed_loop.play import named
from benchmarks.closed_loop.recipes import DEFAULT, SPACE, Setting
from benchmarks.closed_loop.results import Outcome, Results, read, write
from benchmarks.closed_loop.table import document
from benchmarks.closed_loop.task import Task, labels, split
from benchmarks.closed_loop.worth import WEIGHTS, accuracy, beside_seeds, hits, surely_better
from streamgen.control.classifier import Example
from streamgen.llm.model import ChatRequest, Request
from streamgen.testing import ScriptedServer, prompt_of

SETTING = Setting(tokens=6_000, batch=8, again=2, model={"base_url": "http://127.0.0.1:1/v1", "model": "m"})
WORDS = {"fruit": ("apple", "pear", "plum", "grape"), "tool": ("hammer", "saw", "drill", "pliers")}


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Two classes, told apart by their words; one train row is a test row too."""

    def written(name: str, verb: str) -> Path:
        texts = [(f"{verb} the {word} {n}", label) for n in "ab" for label, own in WORDS.items() for word in own]
        rows = [{"text": text, "label": label} for text, label in texts]
        (tmp_path / name).write_text("\n".join(map(json.dumps, [*rows, {"text": "One MORE apple", "label": "fruit"}])))
        return tmp_path / name

    return Task((written("train.jsonl", "take"),), written("test.jsonl", "give"), "Ways to want a", 1, 3)


def test_a_split_has_the_same_rows_of_each_class_and_none_of_the_test(task: Task) -> None:
    first, again, other = split(task, 0), split(task, 0), split(task, 1)
    assert first == again
    assert first.seeds != other.seeds
    assert labels(first.seeds) == ["fruit", "tool"]
    assert (len(first.seeds), len(first.validation), len(first.test)) == (2, 6, 17)
    texts = [row.text.lower() for row in (*first.seeds, *first.validation, *first.test)]
    assert len(set(texts)) == len(texts)


def test_the_shipped_rows_are_enough_for_the_default_split() -> None:
    rows = split(Task(), 0)
    assert (len(rows.seeds), len(rows.validation), len(rows.test)) == (21, 420, 700)


def test_the_space_holds_the_default_and_all_six_methods() -> None:
    assert SPACE.keys() == DEFAULT.keys()
    assert len(SPACE["write.method"]["choices"]) == 6


def test_rows_that_do_not_help_are_left_out() -> None:
    def rows(verb: str, labels: tuple[str, str]) -> list[Example]:
        return [
            Example(f"{verb} {word}", label) for label, own in zip(labels, WORDS.values(), strict=True) for word in own
        ]

    seeds, validation, test = (rows(verb, ("fruit", "tool")) for verb in ("a", "the", "my"))
    swapped = rows("some", ("tool", "fruit"))
    assert beside_seeds(seeds, swapped * 3, validation, test) == (0.0, accuracy(seeds, test))
    assert beside_seeds(seeds[:1], validation, validation, test).accuracy == 1.0
    assert hits(seeds, swapped * 3, 1.0, test).mean() < 1.0 == hits(seeds, [], 1.0, test).mean()
    assert hits(seeds, [], 0.0, validation).mean() == accuracy(seeds, validation)
    assert accuracy(seeds[:1], test) == 0.0
    assert WEIGHTS[0] == 0.0


def test_a_gain_counts_beyond_what_chance_may_do() -> None:
    ours, theirs = np.ones(420, dtype=np.bool_), np.ones(420, dtype=np.bool_)
    theirs[:20] = False
    ours[20:29] = False  # 11 rows more, of 29 that differ
    assert surely_better(ours, theirs)
    ours[29] = False  # 10 rows more, of 30
    assert not surely_better(ours, theirs)
    assert not surely_better(theirs, theirs)


def answer(request: Request) -> str:
    """Only conversations know what is asked for."""
    label = "fruit" if "fruit" in prompt_of(request).rsplit(":", 1)[-1].rsplit("Ways", 1)[-1] else "tool"
    word = WORDS[label][request.seed % 4 if request.seed else 0]
    return f"I want the {word} {request.seed}" if isinstance(request, ChatRequest) else f'give {request.seed} things"'


def command(out: Path, server: ScriptedServer, task: Task, *arms: str, batch: int = 8) -> None:
    given = ["--arms", *arms, "--seeds", "0-1", "--tokens", "2000", "--batch", str(batch), "--again", "2"]
    given += ["--base-url", server.base_url, "--model", "m", "--task", task.phrase, "--few", "1", "--validation", "3"]
    given += ["--train", str(task.train[0]), "--test", str(task.test), "--work", str(out.parent / "work")]
    closed_loop.command([*given, "--out", str(out)])


async def test_arms_are_played_once_within_their_tokens_and_tabled(
    task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from anyio.to_thread import run_sync

    out = tmp_path / "results.json"
    async with ScriptedServer(answer) as server:
        await run_sync(lambda: command(out, server, task, "default", "random_search"))
        asked = server.counters.requests
        await run_sync(lambda: command(out, server, task, "default", "random_search"))
        assert server.counters.requests == asked
        with pytest.raises(SystemExit, match=r"holds results of Setting\(tokens=2000, batch=8"):
            await run_sync(lambda: command(out, server, task, "default", batch=9))
        with pytest.raises(SystemExit, match="ransom"):
            await run_sync(lambda: command(out, server, task, "ransom_search"))
    results = read(out)
    assert results is not None
    assert [(each.arm, each.seed) for each in results.outcomes] == [
        (arm, seed) for seed in (0, 1) for arm in ("default", "random_search")
    ]
    for each in results.outcomes:
        assert (len(each.again_test), each.made <= 16) == (2, True)
    default, tuned = results.of("default")[0], results.of("random_search")[0]
    assert (default.tokens, default.trials, default.settings, default.best_batch) == (0, 0, DEFAULT, None)
    assert tuned.settings.keys() == DEFAULT.keys()
    assert tuned.trials > 3
    assert tuned.tried[0][0] == DEFAULT
    assert 1500 < tuned.tokens < 2200  # calls in flight may take more than was expected
    printed = capsys.readouterr().out
    assert "| random_search | 2 |" in printed
    assert "random_search - default" in printed


def test_options_of_an_agent_are_numbers_where_they_look_like_it() -> None:
    assert named("surrogate") == ("surrogate", {})
    assert named("optuna:sampler=tpe,startup=5,x=0.5") == ("optuna", {"sampler": "tpe", "startup": 5, "x": 0.5})


def outcome(arm: str, seed: int, test: float) -> Outcome:
    return Outcome(
        arm=arm, seed=seed, settings=DEFAULT, trials=30, tokens=1000, wall_s=10.0, cpu_s=5.0, best_batch=0.9,
        again_validation=[0.8, 0.7], again_test=[test - 0.1, test + 0.1], again_tokens=10, again_wall_s=1.0,
        again_cpu_s=1.0, made=10, seeds=0.8, beside=0.82, weight=0.1, beside_plain=0.81, tried=[({"a": 1}, None)],
    )  # fmt: skip


def test_results_survive_the_file_and_differences_are_seed_by_seed(tmp_path: Path) -> None:
    outcomes = [outcome("a", 0, 0.5), outcome("b", 0, 0.7), outcome("a", 1, 0.6), outcome("b", 1, 0.8)]
    results = Results(SETTING, {"cores": 2}, outcomes)
    write(tmp_path / "results.json", results)
    assert read(tmp_path / "results.json") == results
    assert fmean(each.test for each in outcomes) == pytest.approx(0.65)
    text = document(results, "b")
    assert "| b - a | 2 | 0.200 ± 0.000 |" in text
    assert "0.550 ± 0.098" in text
    assert read(tmp_path / "none.json") is None
