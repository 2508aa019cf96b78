"""What a hop of the engine costs, beside a bare chain of `asyncio.Queue`s in the same run.

The floor is a chain of tasks `queue.put(await queue.get())` that does nothing else. For micro-batches its items are
lists, which it passes on whole. The engine runs the same chain of identity stages through its mailboxes, with a
ticket's ack for each item, credits, settlement, guards and statistics, and the sink that counts what arrives.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics as stats
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise, repeat
from typing import Any

from streamgen.engine.ack import Ack, Desk
from streamgen.engine.demand import Demand
from streamgen.engine.graph import build_graph
from streamgen.engine.mailbox import Block
from streamgen.engine.run import Engine
from streamgen.engine.stage import Handler, Stage
from streamgen.record import Record

HOPS = 4
CAPACITY = 256


async def queue_chain(items: int, size: int) -> float:
    """Seconds that a bare chain takes; items travel in lists of `size`, or alone when it is 1."""
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue(max(1, CAPACITY // size)) for _ in range(HOPS + 1)]

    async def hop(source: asyncio.Queue[Any], sink: asyncio.Queue[Any]) -> None:
        while (item := await source.get()) is not None:
            await sink.put(item)
        await sink.put(None)

    async def feed() -> None:
        for start in range(0, items, size):
            await queues[0].put(start if size == 1 else list(range(start, min(start + size, items))))
        await queues[0].put(None)

    async def drain() -> None:
        seen = 0
        while (item := await queues[-1].get()) is not None:
            seen += 1 if size == 1 else len(item)
        assert seen == items

    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed())
        for left, right in pairwise(queues):
            tasks.create_task(hop(left, right))
        tasks.create_task(drain())
    return time.perf_counter() - start


def one(record: Record, context: None) -> Record:
    """The identity on a single record."""
    return record


def many(records: Sequence[Record], context: None) -> Sequence[Record]:
    """The identity on a micro-batch."""
    return records


class Rows:
    """A source that repeats one record, with a ticket for each."""

    def __init__(self, items: int) -> None:
        self.left, self.next, self.record = items, 0, Record("0", {"text": "x"})

    async def take(self, credits: int, desk: Desk) -> Block:
        count = min(credits, self.left)
        self.left -= count
        first, self.next = self.next, self.next + count
        return Block([self.record] * count, list(map(Ack, range(first, first + count), repeat(desk))))


class NoContexts:
    def for_record(self, stage: str, record: Record, ack: Ack) -> None:
        return None

    def for_batch(self, stage: str, settings: object) -> None:
        return None


async def engine_chain(items: int, size: int) -> float:
    """Seconds that the engine takes for the same chain."""
    handler: Handler = one if size == 1 else many
    graph = build_graph([Stage(name=f"hop-{n}", handler=handler, batch=size, capacity=CAPACITY) for n in range(HOPS)])
    seen = 0

    async def accept(block: Block) -> None:
        nonlocal seen
        seen += len(block.records)
        engine.demand.accept(len(block.records))

    engine = Engine(graph, Rows(items), accept, NoContexts(), Demand(CAPACITY * (HOPS + 1)))
    start = time.perf_counter()
    await engine.run()
    elapsed_s = time.perf_counter() - start
    assert seen == items == engine.demand.settled_tickets
    return elapsed_s


def measure(chain: Callable[[int, int], Awaitable[float]], items: int, size: int, runner: Callable[..., Any]) -> float:
    """Items a second and hop."""
    gc.collect()
    seconds: float = runner(chain(items, size))
    return items * HOPS / seconds


def command(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks hop", description=__doc__)
    parser.add_argument("--repeat", type=int, default=9, help="rounds, of which the medians are shown")
    parser.add_argument("--items", type=int, default=100_000, help="items a round, four times as many in batches")
    options = parser.parse_args(arguments)
    main(options.repeat, options.items)


def main(repeat: int = 9, items: int = 100_000) -> list[dict[str, float]]:
    """Print the table; floor and engine take turns, medians over `repeat` rounds."""
    rows = []
    print(f"{HOPS} hops, {items:,} items, median of {repeat} rounds; items/s per hop")
    print(f"{'batch':>5} {'asyncio.Queue':>15} {'engine':>15} {'ratio':>7}  (spread)")
    for size in (1, 16, 64):
        count = items * (1 if size == 1 else 4)
        pairs = [
            (measure(queue_chain, count, size, asyncio.run), measure(engine_chain, count, size, asyncio.run))
            for _ in range(repeat)
        ]
        ratios = [engine / floor for floor, engine in pairs]
        floor, engine = (stats.median(column) for column in zip(*pairs, strict=True))
        ratio = stats.median(ratios)
        print(f"{size:>5} {floor:>15,.0f} {engine:>15,.0f} {ratio:>7.2f}  ({min(ratios):.2f}-{max(ratios):.2f})")
        rows.append({"batch": size, "floor": floor, "engine": engine, "ratio": ratio})
    return rows
