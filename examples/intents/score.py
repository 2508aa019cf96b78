"""What the data is worth: a classifier trained on seeds, on synthetic rows, on both, and on real rows.

`python examples/intents/score.py RUN_DIRECTORY` prints the table; the recipe does so at the end of a run.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from streamgen.control.classifier import Example, evaluate, read_examples

if TYPE_CHECKING:
    from rich.table import Table

HERE = Path(__file__).parent


class Row(NamedTuple):
    """A training set and the accuracy that a classifier trained on it reaches."""

    name: str
    rows: int
    accuracy: float


def table(directory: str | Path) -> Table:
    """The accuracy table of a finished run, on the 700 test utterances."""
    from rich.table import Table

    title = "accuracy on 700 real utterances that nothing else read"
    result = Table(title=title, min_width=len(title))
    result.add_column("trained on")
    result.add_column("rows", justify="right")
    result.add_column("accuracy", justify="right")
    for row in scores(synthetic_of(Path(directory)), _read("test.jsonl")):
        result.add_row(row.name, str(row.rows), f"{row.accuracy:.3f}")
    return result


def scores(synthetic: Sequence[Example], held_out: Sequence[Example]) -> list[Row]:
    """The four rows of the table: one model, the same for all, that was chosen without the test rows."""
    seeds = _read("seeds.jsonl")
    real = list(_as_many(_read("real.jsonl"), synthetic))
    return [
        Row(name, len(training), evaluate(training, held_out)["accuracy"])
        for name, training in (
            ("3 real seeds a class", seeds),
            ("synthetic only", synthetic),
            ("seeds + synthetic", [*seeds, *synthetic]),
            ("as many real rows", real),
        )
    ]


def synthetic_of(directory: Path) -> list[Example]:
    """The run's utterances."""
    path = directory / "utterances.jsonl"
    return list(read_examples(path, "text", "label", str(directory)))


def _as_many(real: Sequence[Example], synthetic: Sequence[Example]) -> Iterator[Example]:
    """The first real rows of each class, as many as there are synthetic ones of it."""
    left = Counter(row.label for row in synthetic)
    for row in real:
        if left[row.label] > 0:
            left[row.label] -= 1
            yield row


def _read(name: str) -> list[Example]:
    return list(read_examples(HERE / name, "text", "label", name))


if __name__ == "__main__":
    from rich.console import Console

    if len(sys.argv) != 2:
        sys.exit("usage: python examples/intents/score.py RUN_DIRECTORY")
    Console().print(table(sys.argv[1]))
