"""One arm with one seed: tune, run what was chosen again, and measure that on the test rows."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import streamgen
from benchmarks.closed_loop import recipes
from benchmarks.closed_loop.recipes import DEFAULT, Setting
from benchmarks.closed_loop.results import Outcome
from benchmarks.closed_loop.task import Split, Task, split, write
from benchmarks.closed_loop.worth import accuracy, beside_seeds
from streamgen.control.classifier import Example
from streamgen.control.controller import ControllerSummary
from streamgen.record import Record, Value
from streamgen.summary import Summary

NOT_TUNED = "default"


class Spent(NamedTuple):
    """What a run took over all of its sessions; CPU is of the last one, the model's process with it."""

    tokens: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


class Tuned(NamedTuple):
    """What an agent chose, and on what grounds."""

    settings: Mapping[str, Value]
    spent: Spent = Spent()
    tried: tuple[tuple[Mapping[str, Value], float | None], ...] = ()


async def play(arm: str, seed: int, task: Task, setting: Setting, folder: Path) -> Outcome:
    """The outcome. A run in `folder` that was interrupted goes on."""
    rows = split(task, seed)
    write(folder / "seeds.jsonl", rows.seeds)
    write(folder / "validation.jsonl", rows.validation)
    tuned = Tuned(DEFAULT) if arm == NOT_TUNED else await _tune(arm, seed, task.phrase, setting, folder)
    recipe = recipes.again(tuned.settings, folder, task.phrase, seed, setting)
    made, _, spent = await _run(recipe, folder / "again")
    return _outcome(arm, seed, tuned, spent, _batches(made, setting), rows)


async def _tune(arm: str, seed: int, phrase: str, setting: Setting, folder: Path) -> Tuned:
    """An arm is an agent's name, perhaps with options: `optuna:startup=5`."""
    recipe = recipes.tuning(named(arm), folder, phrase, seed, setting)
    _, summary, spent = await _run(recipe, folder / "tuning")
    trials = summary.trials
    assert trials is not None
    return Tuned({**DEFAULT, **(trials.recommended or {})}, spent, tuple(_tried(trials)))


def named(arm: str) -> tuple[str, dict[str, Value]]:
    """The agent and its options.

    >>> named("optuna:sampler=gp,startup=5")
    ('optuna', {'sampler': 'gp', 'startup': 5})
    """
    agent, _, listed = arm.partition(":")
    pairs = (pair.partition("=") for pair in listed.split(",") if pair)
    return agent, {name: _value(text) for name, _, text in pairs}


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _tried(trials: ControllerSummary) -> list[tuple[Mapping[str, Value], float | None]]:
    return [(each.trial.settings, each.reward.value) for each in trials.trials if each.reward is not None]


async def _run(recipe: Mapping[str, Value], directory: Path) -> tuple[list[Record], Summary, Spent]:
    before = _cpu_s()
    async with streamgen.open(recipe, directory=directory) as run:
        made = [record async for record in run]
        summary = run.summary()
    spent = summary.statistics.spent
    return made, summary, Spent(spent.tokens, spent.minutes * 60, _cpu_s() - before)


def _cpu_s() -> float:
    """Of this process and of those that it has waited for: the model's ends with its run."""
    kinds = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(kind.ru_utime + kind.ru_stime for kind in kinds)


def _batches(made: Sequence[Record], setting: Setting) -> list[list[Example]]:
    batches: list[list[Example]] = [[] for _ in range(setting.again)]
    for record in made:
        batches[record.meta.ticket // setting.batch].append(Example(record.text("text"), record.text("label")))
    return batches


def _outcome(
    arm: str, seed: int, tuned: Tuned, spent: Spent, batches: Sequence[Sequence[Example]], rows: Split
) -> Outcome:
    made = [row for batch in batches for row in batch]
    beside = beside_seeds(rows.seeds, made, rows.validation, rows.test)
    return Outcome(
        arm=arm,
        seed=seed,
        settings=tuned.settings,
        trials=len(tuned.tried),
        tokens=tuned.spent.tokens,
        wall_s=round(tuned.spent.wall_s, 1),
        cpu_s=round(tuned.spent.cpu_s, 1),
        best_batch=max((value for _, value in tuned.tried if value is not None), default=None),
        again_validation=[accuracy(batch, rows.validation) for batch in batches],
        again_test=[accuracy(batch, rows.test) for batch in batches],
        again_tokens=spent.tokens,
        again_wall_s=round(spent.wall_s, 1),
        again_cpu_s=round(spent.cpu_s, 1),
        made=len(made),
        seeds=accuracy(rows.seeds, rows.test),
        beside=beside.accuracy,
        weight=beside.weight,
        beside_plain=accuracy([*rows.seeds, *made], rows.test),
        tried=list(tuned.tried),
    )
