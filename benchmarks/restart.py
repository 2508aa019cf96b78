"""`python -m benchmarks restart`: how soon a run with a long history makes its next call after kill -9."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.clients.streamgen_client import recipe_of
from benchmarks.history import write_history
from benchmarks.mock import Mock, endpoint
from benchmarks.processes import cores
from benchmarks.runner import Session
from benchmarks.workloads import WORKLOADS
from streamgen.recipe import Recipe

_BEYOND = 10_000  # rows that are left to do behind the history
_NOTED = 2_000


class Restarted(NamedTuple):
    """Seconds, and those of CPU, from the new process's start to its first call; the size of what it goes on from."""

    first_call_s: float
    cpu_s: float
    journal_mb: float


def restarts(tickets: int, times: int, *, is_run: bool = False) -> list[Restarted]:
    """Make a run with so many settled tickets, and kill and restart it a few times.

    The history is written through the store, in seconds; `is_run` makes it by a run that is killed, in minutes.
    """
    workload = msgspec.structs.replace(WORKLOADS["W5"], endpoint=WORKLOADS["W1"].endpoint, records=tickets + _BEYOND)
    endpoint_core, client_core = cores()
    with tempfile.TemporaryDirectory() as folder, endpoint(workload.endpoint, endpoint_core) as mock:
        session = Session(workload, "streamgen", mock, Path(folder), client_core)
        if not is_run:
            write_history(Path(folder, "out", "run"), Recipe.parse(recipe_of(session.work())), tickets)
        # What was written lacks what a run notes of its metrics: a first session makes up for it.
        _run_up_to(tickets if is_run else _NOTED, session, mock)
        return [_restart(session, mock, Path(folder)) for _ in range(times)]


def _run_up_to(tickets: int, session: Session, mock: Mock) -> None:
    with session.start() as process:
        while process.is_alive and mock.progress()["paid"] < tickets:
            time.sleep(0.2)


def _restart(session: Session, mock: Mock, folder: Path) -> Restarted:
    size = sum(file.stat().st_size for file in folder.glob("out/run/run.*"))
    mock.reset()
    with session.start() as process:
        while process.is_alive and not mock.progress()["requests"]:
            time.sleep(0.01)
        process.kill()
        first = mock.counters()["first_request"]
        return Restarted(first - process.started, process.wait().cpu_before(first), size / 1e6)


def command(arguments: Sequence[str]) -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks restart", description=__doc__)
    parser.add_argument("--tickets", type=int, default=1_000_000, help="settled ones")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--run", action="store_true", help="make the history by a run, some 3,000 tickets a second")
    given = parser.parse_args(arguments)
    for restarted in restarts(given.tickets, given.times, is_run=given.run):
        seconds, cpu_s, megabytes = restarted
        what = f"{given.tickets:,} tickets, journal of {megabytes:,.0f} MB"
        print(f"{what}: first call after {seconds:.2f} s ({cpu_s:.2f} s of CPU)", flush=True)
