"""`python -m benchmarks run`: workloads x clients x rounds, kept in one file of results."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from benchmarks.interpreters import python_of
from benchmarks.mock import Ceiling, ceiling
from benchmarks.processes import cores
from benchmarks.results import RESULTS, Invocation, Results, read, write
from benchmarks.runner import Measured, measure
from benchmarks.targets import Verdict, verdicts
from benchmarks.workloads import WORKLOADS, Workload
from streamgen.errors import UnknownName

CLIENTS = ("floor", "streamgen", "openai", "curator", "distilabel", "data_designer")


def machine() -> dict[str, str | int]:
    """What the figures depend on."""
    names = (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    return {
        "processor": next(names, platform.processor() or "unknown"),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def is_for(client: str, workload: Workload) -> bool:
    """Whether the client takes part."""
    return not workload.clients or client in workload.clients


def run(workloads: Sequence[str], clients: Sequence[str], rounds: int, out: Path) -> Invocation:
    """Measure it all; rounds go over the clients in turn, and the file is written after each run."""
    top: Ceiling = ceiling(*cores())
    print(f"the endpoint answers {top.per_s:,.0f} requests/s on one core (asked by {top.driver})")
    invocation = Invocation(
        date=time.strftime("%Y-%m-%d %H:%M"), machine=machine(), ceiling_per_s=top.per_s, ceiling_driver=top.driver
    )
    earlier = read(out)
    for number, name, client in product(range(rounds), workloads, clients):
        if is_for(client, WORKLOADS[name]):
            measured = measure(WORKLOADS[name], client)
            measured.round = number
            invocation.runs.append(measured)
            print(line(measured), flush=True)
            write(out, [*earlier, invocation])
    return invocation


def line(m: Measured) -> str:
    """One run in words."""
    rate = f"{m.records_per_s:8,.0f}/s" if m.records_per_s else f"{'-':>10}"
    cpu = f"{m.cpu_ms:6.3f} ms" if m.cpu_ms else f"{'-':>9}"
    wall = f"{m.wall_s:7.2f} s" if m.wall_s else f"{'-':>9}"
    statuses = " ".join(f"{status}:{count}" for status, count in m.counters.get("statuses", {}).items())
    start = f"{m.workload:<10} {m.client:<14} {m.records:>7,}"
    return f"{start} {wall} {rate} {cpu} {m.peak_mb:6.0f} MB  {statuses} {m.error or ''}"


def judged(verdict: Verdict) -> str:
    """One target in words."""
    target, reached = verdict.target, verdict.spread
    assert reached is not None
    word = "met" if verdict.is_met else "missed"
    value = f"{reached.median:.4g} ({reached.low:.4g}-{reached.high:.4g})"
    return f"{target.workload:<10} {target.about:<48} {value:<24} {target.relation} {target.bound:g}: {word}"


def command(arguments: Sequence[str]) -> None:
    """Measure, and print each run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks run", description=__doc__)
    parser.add_argument("--workloads", default="W1", help=f"some of {','.join(WORKLOADS)}, or all")
    parser.add_argument("--clients", default="floor,streamgen", help=f"some of {','.join(CLIENTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file that results are added to")
    given = parser.parse_args(arguments)
    workloads = list(WORKLOADS) if given.workloads == "all" else given.workloads.split(",")
    try:
        for name in workloads:
            if name not in WORKLOADS:
                raise UnknownName("workload", name, WORKLOADS)
        for name in given.clients.split(","):
            if name not in CLIENTS:
                raise UnknownName("client", name, CLIENTS)
            python_of(name)
    except (UnknownName, FileNotFoundError) as error:
        sys.exit(str(error))
    invocation = run(workloads, given.clients.split(","), given.rounds, given.out)
    print("\n".join(judged(verdict) for verdict in verdicts(Results([invocation])) if verdict.spread))
