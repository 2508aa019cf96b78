"""What the metrics cost a record of 100 words, each alone and the default ones together, and their memory at a million.

The floor is the words of each text (`streamgen.text.words`), which most metrics need. Together, metrics share them.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import msgspec

from streamgen import registry
from streamgen.decode import decode
from streamgen.measuring import DEFAULT
from streamgen.metrics import Accumulator
from streamgen.record import Meta, Record
from streamgen.text import words

REAL = Path(__file__).parents[1] / "examples/intents/real.jsonl"
BATCH = 64
TARGET_US = 400
NAMES = (*DEFAULT, "class_balance", "scores", "constraints", "counts", "similarity", "fluency", "topics", "tstr")
FEW, MANY = 20_000, 1_000_000


def metric(name: str) -> Accumulator:
    """The metric as it is by default; what needs a file of real rows gets that of the intents."""
    given = {"text": "text", "label": "label", "reference": str(REAL), "test": str(REAL)}
    factory = registry.find("metrics", name)
    struct = registry.settings_type(factory)
    assert struct is not None
    given["column"] = "label" if name == "class_balance" else "text"
    raw = {field: given[field] for field in struct.__struct_encode_fields__ if field in given}
    made: Accumulator = factory(decode(raw, struct))
    return made


def records(length: int) -> Iterator[Record]:
    """Records without end, of `length` words from real utterances; every fortieth comes again."""
    rows = [msgspec.json.decode(line) for line in REAL.read_bytes().splitlines()]
    rng, number = Random(0), 0
    while True:
        taken: list[str] = []
        while len(taken) < length:
            taken += f"{rng.choice(rows)['text'].capitalize()}.".split()
        text, label = " ".join(taken[:length]), rng.choice(rows)["label"]
        meta = Meta(
            ticket=number, scores={"judge": rng.randint(1, 5)}, verdicts={"length": rng.choice(["pass", "fail"])}
        )
        for _ in range(2 if number % 40 == 0 else 1):
            yield Record(str(number), {"text": text, "label": label}, meta)
            number += 1


def seconds_of(found: Sequence[Record], update: Callable[[Sequence[Record]], object]) -> float:
    """CPU seconds a record."""
    gc.collect()
    started = time.process_time()
    for start in range(0, len(found), BATCH):
        update(found[start : start + BATCH])
    return (time.process_time() - started) / len(found)


def together(metrics: Sequence[Accumulator]) -> Callable[[Sequence[Record]], None]:
    """What updates all of them."""

    def update(batch: Sequence[Record]) -> None:
        for each in metrics:
            each.update(batch)

    return update


def costs(count: int, rounds: int) -> None:
    """Print microseconds a record; medians over rounds in which all take turns."""
    found = list(islice(records(100), count * rounds))
    parts = {name: (metric(name),) for name in NAMES} | {"default together": tuple(map(metric, DEFAULT))}
    taken: dict[str, list[float]] = {name: [] for name in ("floor", *parts)}
    for start in range(0, len(found), count):
        own = found[start : start + count]
        taken["floor"].append(seconds_of(own, lambda batch: [words(record.text("text")) for record in batch]))
        for name, metrics in parts.items():
            taken[name].append(seconds_of(own, together(metrics)))
    medians = {name: 1e6 * statistics.median(times) for name, times in taken.items()}
    print(
        f"records of 100 words in batches of {BATCH}, {rounds} rounds of {count:,}; us of CPU a record (ratio to floor)"
    )
    for name, median in medians.items():
        shown = f"{1e3 * result_s(parts[name]):8.1f} ms a result" if name in parts else ""
        print(f"{name:<18} {median:8.1f}  ({median / medians['floor']:5.2f})  {shown}")
    verdict = "met" if medians["default together"] <= TARGET_US else "missed"
    print(f"target: the default ones together <= {TARGET_US} us: {verdict}")


def result_s(metrics: Sequence[Accumulator]) -> float:
    """Seconds of CPU that the results take."""
    started = time.process_time()
    for each in metrics:
        each.result()
    return time.process_time() - started


def peak_mb(name: str, count: int) -> float:
    """Peak memory of this process with the metric over so many short records."""
    import resource

    found, measured = records(6), metric(name)
    for _ in range(0, count, 256):
        measured.update(list(islice(found, min(256, count))))
    measured.result()
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def memory(names: Sequence[str], many: int) -> None:
    """Print the peak memory of each metric, in processes of their own, at few and at many records."""
    print(f"peak MB of a process with the metric, records of 6 words: at {FEW:,}, at {many:,}, difference")
    for name in names:
        few, peak = (_child(name, count) for count in (FEW, many))
        print(f"{name:<18} {few:8.1f} {peak:8.1f} {peak - few:+8.1f}", flush=True)


def _child(name: str, count: int) -> float:
    command = [sys.executable, "-m", "benchmarks", "metrics", "--child", name, str(count)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def command(arguments: Sequence[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks metrics", description=__doc__)
    parser.add_argument("--records", type=int, default=1024, help="a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", type=int, nargs="?", const=MANY, help="measure memory, at so many records")
    parser.add_argument("--metrics", default=",".join(NAMES), help="whose memory is measured")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(peak_mb(options.child[0], int(options.child[1])))
    elif options.memory:
        memory(options.metrics.split(","), options.memory)
    else:
        costs(options.records, options.rounds)
