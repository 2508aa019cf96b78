"""Peak memory of 2,000 and of 20,000 records through `chat` over loopback HTTP: it must not grow with N."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

SMALL, LARGE = 2_000, 20_000
TARGET = 1.15


class Measured(NamedTuple):
    """One run in a process of its own."""

    records: int
    peak_mb: float
    seconds: float


def run_once(base_url: str, directory: str, records: int) -> Measured:
    """Make the records in this process."""
    import resource

    import streamgen

    recipe = streamgen.Recipe.parse({
        "models": {"main": {"base_url": base_url, "model": "scripted", "limits": {"concurrency": 64}}},
        "stages": [{"name": "answer", "type": "chat", "model": "main", "prompt": PROMPT, "output": "answer"}],
        "sinks": [{"type": "jsonl"}],
        "run": {"accept": records},
    })  # fmt: skip
    started = time.perf_counter()
    streamgen.run(recipe, directory=directory)
    seconds = time.perf_counter() - started
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measured(records, kilobytes / (1 << 20 if sys.platform == "darwin" else 1 << 10), seconds)


PROMPT = "Write one sentence about the sea, as a sailor would who has not seen land for a month. " * 4


def measure(base_url: str, records: int) -> Measured:
    """Make the records in a fresh process and directory."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "benchmarks.memory", "--child", base_url, directory, str(records)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peak_mb, seconds = said.split()
    return Measured(records, float(peak_mb), float(seconds))


def report(latency_ms: float) -> str:
    """Both runs against one server in another process, and their ratio."""
    command = [sys.executable, "-m", "streamgen.testing", "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            base_url = server.stdout.readline().strip()
            small, large = (measure(base_url, records) for records in (SMALL, LARGE))
        finally:
            server.kill()
    lines = [f"{m.records:>6,} records  {m.peak_mb:6.1f} MB peak  {m.records / m.seconds:6,.0f} records/s"
             for m in (small, large)]  # fmt: skip
    ratio = large.peak_mb / small.peak_mb
    verdict = "met" if ratio <= TARGET else "missed"
    return "\n".join([*lines, f"ratio {ratio:.3f} (target <= {TARGET}: {verdict})"])


def command(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory", description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=5.0, help="time to every answer")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        base_url, directory, records = given.child
        measured = run_once(base_url, directory, int(records))
        print(measured.peak_mb, measured.seconds)
    else:
        print(report(given.latency_ms))


if __name__ == "__main__":
    command(sys.argv[1:])
