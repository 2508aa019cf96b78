"""`python -m benchmarks run`: workloads x clients x rounds, kept in one file of results."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.mock import ROOT, Ceiling, ceiling
from benchmarks.processes import cores
from benchmarks.runner import Measured, measure
from benchmarks.workloads import WORKLOADS, Workload
from streamgen.errors import UnknownName

RESULTS = ROOT / "benchmarks" / "results.json"
CLIENTS = ("floor", "streamgen", "openai", "curator", "distilabel", "data_designer")


class Invocation(msgspec.Struct, kw_only=True):
    """One call of the command: when, on what, and what was measured."""

    date: str
    machine: dict[str, str | int]
    ceiling_per_s: float
    ceiling_driver: str
    runs: list[Measured] = []


def read(path: Path) -> list[Invocation]:
    """All that was measured so far."""
    return msgspec.json.decode(path.read_bytes(), type=list[Invocation]) if path.exists() else []


def write(path: Path, invocations: Sequence[Invocation]) -> None:
    """Replace the file."""
    text = msgspec.json.format(msgspec.json.encode(invocations), indent=1)
    scratch = path.with_suffix(".new")
    scratch.write_bytes(text + b"\n")
    scratch.replace(path)


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
    for name in workloads:
        for number in range(rounds):
            for client in clients:
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
    except UnknownName as error:
        sys.exit(str(error))
    run(workloads, given.clients.split(","), given.rounds, given.out)
