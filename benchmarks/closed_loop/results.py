"""What the benchmark keeps: a file an arm and seed, so that it can be stopped and goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.closed_loop.recipes import Setting
from streamgen.record import Value

RESULTS = Path(__file__).with_name("results.json")


class Outcome(msgspec.Struct, frozen=True):
    """One arm with one seed: what tuning took, what was chosen, and what that gave when it was run again.

    `best_batch` is the highest single reward while tuning, on the validation rows like `again_validation`; all other
    accuracies are on the test rows. `seeds` is the seeds alone; `beside` adds all rows that were made again, each
    with `weight`, `beside_plain` with the weight of a seed. Seconds are of this machine, in whatever company.
    """

    arm: str
    seed: int
    settings: Mapping[str, Value]
    trials: int
    tokens: int
    wall_s: float
    cpu_s: float
    best_batch: float | None
    again_validation: list[float]
    again_test: list[float]
    again_tokens: int
    again_wall_s: float
    again_cpu_s: float
    made: int
    seeds: float
    beside: float
    weight: float
    beside_plain: float
    tried: list[tuple[Mapping[str, Value], float | None]] = []

    @property
    def test(self) -> float:
        """Trained on one batch of the chosen settings: the mean of the batches."""
        return sum(self.again_test) / len(self.again_test)

    @property
    def validation(self) -> float:
        """The same on the validation rows: what the best batch promised more than that is the winner's curse."""
        return sum(self.again_validation) / len(self.again_validation)


class Results(msgspec.Struct, frozen=True):
    """All outcomes under one setting."""

    setting: Setting
    machine: Mapping[str, Value]
    outcomes: list[Outcome]

    def of(self, arm: str) -> dict[int, Outcome]:
        """An arm's outcomes by seed."""
        return {each.seed: each for each in self.outcomes if each.arm == arm}

    @property
    def arms(self) -> list[str]:
        """In the order of the first appearance."""
        return list(dict.fromkeys(each.arm for each in self.outcomes))


def read(path: Path) -> Results | None:
    """What `write` has kept; None where there is nothing."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else None


def write(path: Path, results: Results) -> None:
    """Keep them as JSON, a line an outcome."""
    head = msgspec.json.encode(msgspec.structs.replace(results, outcomes=[]))
    lines = b",\n".join(msgspec.json.encode(each) for each in results.outcomes)
    beside = path.with_suffix(".part")
    beside.write_bytes(head.removesuffix(b"]}") + b"\n" + lines + b"\n]}\n")
    beside.replace(path)
