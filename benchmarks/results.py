"""What was measured, kept in one file; the newest runs of a workload and client stand for them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.measures import Measure
from benchmarks.mock import ROOT
from benchmarks.runner import Measured

RESULTS = ROOT / "benchmarks" / "results.json"


class Invocation(msgspec.Struct, kw_only=True):
    """One call of `python -m benchmarks run`: when, on what, and what was measured."""

    date: str
    machine: dict[str, str | int]
    ceiling_per_s: float
    ceiling_driver: str
    runs: list[Measured] = []


class Spread(NamedTuple):
    """The median of several rounds and their range."""

    median: float
    low: float
    high: float


def read(path: Path) -> list[Invocation]:
    """All that was measured so far."""
    return msgspec.json.decode(path.read_bytes(), type=list[Invocation]) if path.exists() else []


def write(path: Path, invocations: Sequence[Invocation]) -> None:
    """Replace the file."""
    text = msgspec.json.format(msgspec.json.encode(invocations), indent=1)
    scratch = path.with_suffix(".new")
    scratch.write_bytes(text + b"\n")
    scratch.replace(path)


class Results:
    """The invocations, newest first."""

    def __init__(self, invocations: Sequence[Invocation]) -> None:
        self.invocations = list(reversed(invocations))

    def of(self, workload: str, client: str) -> list[Measured]:
        """The newest runs, one a round."""
        return next((found for _, found in self._found(workload, client)), [])

    def invocation(self, workload: str, client: str) -> Invocation | None:
        """The invocation that the newest runs are from."""
        return next((invocation for invocation, _ in self._found(workload, client)), None)

    def pairs(self, one: tuple[str, str], other: tuple[str, str]) -> list[tuple[Measured, Measured]]:
        """The runs of two (workload, client) by their common rounds, from the newest invocation that has both."""
        for invocation, runs in self._found(*one):
            others = {run.round: run for run in _runs(invocation, *other)}
            if pairs := [(run, others[run.round]) for run in runs if run.round in others]:
                return pairs
        return []

    def _found(self, workload: str, client: str) -> Iterator[tuple[Invocation, list[Measured]]]:
        for invocation in self.invocations:
            if runs := _runs(invocation, workload, client):
                yield invocation, runs


def _runs(invocation: Invocation, workload: str, client: str) -> list[Measured]:
    return [run for run in invocation.runs if run.workload == workload and run.client == client]


def spread(values: Sequence[float | None]) -> Spread | None:
    """Median and range; None where a round has no value."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return Spread(statistics.median(known), min(known), max(known))


def spread_of(runs: Sequence[Measured], measure: Measure) -> Spread | None:
    """Median and range of one measure."""
    return spread([measure(run) for run in runs])
