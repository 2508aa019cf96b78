"""New instructions by the local model from the 175 seed tasks: how many in what time, and what is dropped for what."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from streamgen.generate._seed_tasks import read_seeds
from streamgen.journal.store import Store
from streamgen.quality.rouge import RougePool

EXAMPLE = Path(__file__).parents[1] / "examples/self_instruct"


def outcomes(database: Path) -> Counter[str]:
    """How many tickets came to each end: "accepted", "failed", or the reason of a drop."""
    store = Store(database, read_only=True)
    try:
        rows = store.read("SELECT outcome, drops, COUNT(*) FROM outcomes GROUP BY outcome, drops")
    finally:
        store.close()
    counts: Counter[str] = Counter()
    for outcome, drops, count in rows:
        assert isinstance(count, int)
        is_drop = outcome == "dropped" and drops
        counts[json.loads(str(drops))[0][1] if is_drop else str(outcome)] += count
    return counts


def greatest_rouge(seeds: Iterable[str], made: Iterable[str]) -> float:
    """The greatest ROUGE-L of a made instruction with a seed or another made one."""
    pool = RougePool()
    for text in seeds:
        pool.add(text)
    greatest = 0.0
    for text in made:
        greatest = max(greatest, pool.greatest(text))
        pool.add(text)
    return greatest


def shares(counts: Counter[str]) -> str:
    """Each end with its share of all tickets, the most frequent one first."""
    total = max(counts.total(), 1)
    return "\n".join(f"{name:<18}{count:>5}{count / total:>8.1%}" for name, count in counts.most_common())


def report(run: Path, seconds: float | None = None) -> str:
    """What a finished run of the example's recipe has made."""
    made = [json.loads(line)["instruction"] for line in (run / "tasks.jsonl").read_text().splitlines()]
    seeds = [seed.task.instruction for seed in read_seeds(str(EXAMPLE / "seed_tasks.jsonl"))]
    took = f" in {seconds:.0f} s" if seconds is not None else ""
    return (
        f"{len(made)} instructions{took}; greatest ROUGE-L with a seed or another one: "
        f"{greatest_rouge(seeds, made):.3f}\n{shares(outcomes(run / 'run.db'))}"
    )


def command(arguments: Sequence[str]) -> None:
    """Run the example, or read a run of it, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks self_instruct", description=__doc__)
    parser.add_argument("--run", type=Path, help="the directory of a finished run; without it, a new one is made")
    given = parser.parse_args(arguments)
    if given.run is not None:
        print(report(given.run))
        return
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(shutil.copytree(EXAMPLE, Path(folder) / "example", ignore=shutil.ignore_patterns("runs")))
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "streamgen", "run", "recipe.toml"], cwd=recipe, check=True)
        print(report(recipe / "runs/self-instruct", time.monotonic() - began))
