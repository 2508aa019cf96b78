"""`python -m benchmarks crash`: kill -9 at random moments, again and again, until every record is there."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.kill import Kill, kill
from benchmarks.mock import Mock, endpoint
from benchmarks.processes import cores
from benchmarks.runner import Measured, Session
from benchmarks.workloads import WORKLOADS, Workload

_RECORDS = 4_000
_LONGEST_S = 0.3  # from a session's first call to its end by a kill


class Cost(NamedTuple):
    """One kill, and the calls that were paid again before the next one."""

    kill: Kill
    paid_again: int


class Outcome(NamedTuple):
    """One run from its first start to its end."""

    costs: list[Cost]
    end: Measured

    def beyond(self) -> list[Cost]:
        """The kills by which more had been paid again than all kills so far account for.

        Not each kill alone: a session that is killed early leaves to the next one what the kill before it cost.
        """
        paid = accumulate(cost.paid_again for cost in self.costs)
        allowed = accumulate(cost.kill.allowed for cost in self.costs)
        return [cost for cost, *sums in zip(self.costs, paid, allowed, strict=True) if sums[0] > sums[1]]


def crashed_run(workload: Workload, most: int, rng: random.Random) -> Outcome:
    """Kill and restart at most so many times, then let it end."""
    endpoint_core, client_core = cores()
    with tempfile.TemporaryDirectory() as folder, endpoint(workload.endpoint, endpoint_core) as mock:
        session = Session(workload, "streamgen", mock, Path(folder), client_core)
        kills: list[Kill] = []
        totals: list[int] = []  # paid again up to each kill, and up to the end
        while len(kills) < most and (killed := _kill_once(session, mock, rng)):
            kills.append(killed)
            totals.append(mock.counters()["paid_again"])
        end = session.result(*session.run())
    totals.append(end.counters["paid_again"])
    costs = [after - before for before, after in pairwise(totals)]
    return Outcome([Cost(*cost) for cost in zip(kills, costs, strict=True)], end)


def _kill_once(session: Session, mock: Mock, rng: random.Random) -> Kill | None:
    """Start, kill at a random moment behind the first new call; None where the run has ended before."""
    asked = mock.progress()["requests"]
    with session.start() as process:
        while process.is_alive and mock.progress()["requests"] == asked:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, _LONGEST_S))
        return kill(process, mock, session.concurrency) if process.is_alive else None


def report(outcomes: Sequence[Outcome]) -> str:
    """All runs in a few lines."""
    costs = [cost for outcome in outcomes for cost in outcome.costs]
    ends = [outcome.end for outcome in outcomes]
    beyond = [cost for outcome in outcomes for cost in outcome.beyond()]
    worst = max(costs, key=lambda cost: cost.paid_again, default=None)
    lines = [
        f"{len(costs)} kills in {len(outcomes)} runs: {sum(e.missing + e.null for e in ends)} records missing, "
        f"{sum(e.duplicated for e in ends)} duplicated, {sum(e.error is not None for e in ends)} runs failed",
        f"paid again: {sum(cost.paid_again for cost in costs)} calls, at {len(beyond)} kills more than in flight and "
        "answered within a commit interval",
        f"the most at one kill: {worst}",
    ]
    return "\n".join([*lines, *(str(cost) for cost in beyond), *(e.error for e in ends if e.error)])


def command(arguments: Sequence[str]) -> None:
    """Print what the kills have cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--key", action="store_true", help="the endpoint honours Idempotency-Key")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    workload = msgspec.structs.replace(WORKLOADS["W5key" if given.key else "W5"], records=_RECORDS)
    rng, outcomes, left = random.Random(given.seed), [], given.kills
    while left > 0:
        outcomes.append(crashed_run(workload, left, rng))
        left -= len(outcomes[-1].costs)
        print(f"{given.kills - left} of {given.kills} kills", flush=True)
    print(report(outcomes))
