"""An hour of a busy engine on virtual time, the same every time that it is run."""

from __future__ import annotations

import asyncio
from random import Random

from engine_bench import Bench

from streamgen.engine.mailbox import Block
from streamgen.engine.stage import Drop, Stage
from streamgen.record import Record
from streamgen.virtual_time import run_virtual


def world(seed: int, hours: float) -> tuple[Bench, list[tuple[float, str]]]:
    """Two calls of about a second with a filter after each; runs until `hours` have passed."""
    random = Random(seed)
    trace: list[tuple[float, str]] = []

    async def call(record: Record, context: object) -> Record:
        await asyncio.sleep(random.lognormvariate(0, 0.5))
        return record

    def most(record: Record, context: object) -> Record | Drop:
        return record if random.random() < 0.9 else Drop("unlucky")

    async def note(block: Block) -> None:
        now = asyncio.get_running_loop().time()
        trace.extend((now, record.id) for record in block.records)
        await bench.accept(block)
        if now >= hours * 3600:
            bench.engine.stop("an hour has passed")

    stages = [
        Stage(name="ask", handler=call, parallel=32),
        Stage(name="long-enough", handler=most),
        Stage(name="judge", handler=call, parallel=32),
        Stage(name="good-enough", handler=most),
    ]
    bench = Bench(*stages, in_flight=200, missing=10**6, accept=note)
    return bench, trace


def trace_of(seed: int) -> list[tuple[float, str]]:
    bench, trace = world(seed, hours=1 / 60)
    run_virtual(bench.engine.run)
    return trace


def test_the_same_seed_gives_the_same_trace() -> None:
    first = trace_of(7)
    assert len(first) > 1000
    assert trace_of(7) == first
    assert trace_of(8) != first


def test_six_minutes_pass_as_the_calls_of_it() -> None:
    """32 calls at a time of 1.133 s in the mean (exp(0.5 ** 2 / 2)) are 28.2 records a second."""
    bench, trace = world(3, hours=0.1)

    async def main() -> float:
        await bench.engine.run()
        return asyncio.get_running_loop().time()

    ended = run_virtual(main)
    assert 360 <= ended < 380
    asked = bench.stage("ask")
    assert abs(asked.received - 360 * 28.2) < 0.04 * 360 * 28.2
    assert asked.busy > 0.95
    assert bench.engine.statistics().bottleneck == "ask"
    assert len(trace) == bench.demand.accepted == bench.stage("good-enough").emitted
    assert bench.demand.outstanding == 0
