"""The task: real rows, split anew for each seed into few-shot seeds, the reward's rows and the final test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from benchmarks.mock import ROOT
from streamgen.control.classifier import Example, read_examples

INTENTS = ROOT / "examples" / "intents"
TRAIN = tuple(INTENTS / name for name in ("seeds.jsonl", "validation.jsonl", "real.jsonl"))
TEST = INTENTS / "test.jsonl"


class Task(NamedTuple):
    """Rows to draw from and rows for the final figure. `phrase` and a label's words make a request."""

    train: tuple[Path, ...] = TRAIN
    test: Path = TEST
    phrase: str = "Requests to a voice assistant to"
    seeds: int = 3  # of each class
    validation: int = 60  # of each class


class Split(NamedTuple):
    """Rows of one seed: what prompts show, what rewards are measured on, and what only the table is."""

    seeds: list[Example]
    validation: list[Example]
    test: list[Example]


def split(task: Task, seed: int) -> Split:
    """The seed's draw from the train rows, the same number of each class; no row of it is a test row."""
    test = read(task.test)
    tested = {_key(row) for row in test}
    classes: dict[str, dict[str, Example]] = defaultdict(dict)
    for path in task.train:
        for row in read(path):
            if _key(row) not in tested:
                classes[row.label].setdefault(_key(row), row)
    rng = Random(f"closed loop/{seed}")
    drawn = [rng.sample([*classes[label].values()], task.seeds + task.validation) for label in sorted(classes)]
    return Split(
        [row for rows in drawn for row in rows[: task.seeds]],
        [row for rows in drawn for row in rows[task.seeds :]],
        test,
    )


def read(path: Path) -> list[Example]:
    """The labelled texts of a JSONL file. Raises RecipeError."""
    return list(read_examples(path, "text", "label", str(path)))


def write(path: Path, rows: Iterable[Example]) -> Path:
    """The rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(row._asdict()) + b"\n" for row in rows))
    return path


def labels(rows: Sequence[Example]) -> list[str]:
    """The classes, in the order of the rows."""
    return list(dict.fromkeys(row.label for row in rows))


def _key(row: Example) -> str:
    return " ".join(row.text.casefold().split())
