"""`python -m benchmarks closed_loop`: the loop with a local model on a real task, several agents at equal tokens."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.closed_loop.play import NOT_TUNED, named, play
from benchmarks.closed_loop.recipes import LOCAL, Setting
from benchmarks.closed_loop.results import RESULTS, Outcome, Results, read, write
from benchmarks.closed_loop.table import document
from benchmarks.closed_loop.task import TEST, TRAIN, Task
from benchmarks.mock import ROOT
from benchmarks.suite import machine
from streamgen import registry
from streamgen.errors import UnknownName
from streamgen.record import Value

ARMS = f"{NOT_TUNED} random_search optuna surrogate"


def command(arguments: Sequence[str]) -> None:
    """Play what has no outcome yet, seed by seed, keep each at once, and print the tables."""
    given = _parser().parse_args(arguments)
    setting = Setting(given.tokens, given.batch, given.again, _model(given.model, given.base_url))
    task = Task(tuple(given.train), given.test, given.task, given.few, given.validation)
    results = read(given.out) or Results(setting, machine(), [])
    if results.setting != setting:
        sys.exit(f"{given.out} holds results of {results.setting}, not of {setting}: name another file with --out")
    try:
        for arm in given.arms:
            _check(arm)
    except UnknownName as error:
        sys.exit(str(error))
    for seed in range(given.seeds[0], given.seeds[-1] + 1):
        for arm in given.arms:
            if seed not in results.of(arm):
                folder = given.work / f"{arm}-{seed}-{given.tokens}-{given.batch}"
                results.outcomes.append(outcome := asyncio.run(play(arm, seed, task, setting, folder)))
                write(given.out, results)
                print(_line(outcome), flush=True)
    print(document(results, given.arms[-1]))


def _check(arm: str) -> None:
    if arm != NOT_TUNED:
        registry.find("agents", named(arm)[0])


def _model(name: str, base_url: str | None) -> dict[str, Value]:
    return {**LOCAL, "model": name} if base_url is None else {"base_url": base_url, "model": name}


def _line(each: Outcome) -> str:
    best = "" if each.best_batch is None else f", best batch {each.best_batch:.3f}"
    return (
        f"{each.arm} seed {each.seed}: {each.test:.3f} on the test rows{best}, again {each.validation:.3f}, "
        f"seeds {each.seeds:.3f}, with synthetic {each.beside:.3f}; {each.trials} trials, {each.tokens} tokens, "
        f"{each.wall_s:.0f} s, {each.cpu_s:.0f} s of CPU"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks closed_loop", description=__doc__)
    defaults, task = Setting(), Task()
    parser.add_argument("--arms", nargs="+", default=ARMS.split(), help="agents, ours last; options as name:key=value")
    parser.add_argument("--seeds", type=_range, default=(0, 4), help="first-last")
    parser.add_argument("--tokens", type=int, default=defaults.tokens, help="read and written, while an arm tunes")
    parser.add_argument("--batch", type=int, default=defaults.batch, help="tickets a trial")
    parser.add_argument("--again", type=int, default=defaults.again, help="batches that the choice is run for")
    parser.add_argument("--model", default=LOCAL["model"], help="of the local store, or of --base-url")
    parser.add_argument("--base-url", help="an endpoint of the OpenAI dialect, in the local model's place")
    parser.add_argument("--train", type=Path, nargs="+", default=TRAIN, help="JSONL with text and label")
    parser.add_argument("--test", type=Path, default=TEST)
    parser.add_argument("--task", default=task.phrase, help="what the texts are, before a label in words")
    parser.add_argument("--few", type=int, default=task.seeds, help="few-shot seeds of each class")
    parser.add_argument("--validation", type=int, default=task.validation, help="the reward's rows of each class")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "closed_loop", help="where stopped runs go on")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


def _range(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("-"))
