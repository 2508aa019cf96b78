"""What an hour of engine time costs on virtual time.

The world: an awaiting stage of 32 workers whose calls take about a second (log-normal), two filters that keep nine in
ten, and refill up to a quota that is never met; the run is stopped after the hour.
With `--calls 2` there are two such chains behind each other. The floor is the same number of calls by as many bare
tasks that only sleep.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from random import Random

from streamgen.engine.ack import Ack, Desk
from streamgen.engine.demand import Demand
from streamgen.engine.graph import build_graph
from streamgen.engine.mailbox import Block
from streamgen.engine.run import Engine
from streamgen.engine.stage import Stage
from streamgen.engine.statistics import EngineStatistics
from streamgen.record import Record
from streamgen.virtual_time import run_virtual

PARALLEL = 32
LATENCY = (0.0, 0.5)  # of a call: mean and deviation of its logarithm; 1.13 s on the average


class World:
    """Source, sink, handlers and chance of one simulated run."""

    def __init__(self, seed: int, hours: float, calls: int) -> None:
        self.random, self.ends_at_s, self.next = Random(seed), hours * 3600, 0
        stages = []
        for n in range(calls):
            stages.append(Stage(name=f"call-{n}", handler=self.call, parallel=PARALLEL))
            stages += [Stage(name=f"filter-{n}-{m}", handler=self.is_kept) for m in range(2)]
        self.engine = Engine(build_graph(stages), self, self.accept, self, Demand(in_flight=200, missing=10**9))

    async def call(self, record: Record, context: None) -> Record:
        await asyncio.sleep(self.random.lognormvariate(*LATENCY))
        return record

    def is_kept(self, record: Record, context: None) -> bool:
        return self.random.random() < 0.9

    def for_record(self, stage: str, record: Record, ack: Ack) -> None:
        return None

    def for_batch(self, stage: str, settings: object) -> None:
        return None

    async def take(self, credits: int, desk: Desk) -> Block:
        numbers = range(self.next, self.next + credits)
        self.next = numbers.stop
        return Block([Record(str(number)) for number in numbers], [Ack(number, desk) for number in numbers])

    async def accept(self, block: Block) -> None:
        for ack in block.acks:
            ack.accepted += 1
        self.engine.demand.accept(len(block.records))
        if asyncio.get_running_loop().time() >= self.ends_at_s:
            self.engine.stop("the time is over")


async def bare_calls(calls: int, workers: int, seed: int = 1) -> None:
    """As many sleeps as the world's calls, by as many tasks."""
    random = Random(seed)

    async def work() -> None:
        for _ in range(calls // workers):
            await asyncio.sleep(random.lognormvariate(*LATENCY))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(workers):
            tasks.create_task(work())


def measure(hours: float, calls: int, seed: int = 1) -> tuple[EngineStatistics, float]:
    """The run's statistics and the CPU seconds that it took."""
    world = World(seed, hours, calls)
    start = time.process_time()
    run_virtual(world.engine.run)
    return world.engine.statistics(), time.process_time() - start


def command(arguments: Sequence[str]) -> None:
    """Print what the simulated time cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hour", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--calls", type=int, default=1, help="awaiting stages, each with two filters behind it")
    options = parser.parse_args(arguments)
    statistics, cpu_s = measure(options.hours, options.calls)
    calls = sum(stage.received for stage in statistics.stages if stage.name.startswith("call-"))
    start = time.process_time()
    run_virtual(lambda: bare_calls(calls, options.calls * PARALLEL))
    floor_s = time.process_time() - start
    print(f"{statistics.elapsed_s:,.0f} s of engine time: {statistics.accepted:,} records accepted, {calls:,} calls")
    print(f"engine {cpu_s:.2f} s of CPU ({cpu_s / calls * 1e6:.1f} us a call), bare calls {floor_s:.2f} s")
