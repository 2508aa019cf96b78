"""An ordered stage overlaps its calls and yet keeps the order."""

from __future__ import annotations

import asyncio

import pytest
from engine_bench import Bench

from streamgen.engine.stage import Stage
from streamgen.record import Record
from streamgen.virtual_time import run_virtual


def wait_s(record: Record) -> int:
    return 1 + int(record.id) * 7 % 5


async def slow(record: Record, context: object) -> Record | None:
    await asyncio.sleep(wait_s(record))
    if record.id == "4":
        raise ValueError("no four")
    return None if record.id == "9" else record


async def time_of(bench: Bench) -> float:
    await bench.engine.run()
    return asyncio.get_running_loop().time()


def ends_at(tickets: int, parallel: int) -> int:
    """When the last record leaves: a worker is free when its record has left, which waits for all before it."""
    left: list[int] = []
    for ticket in range(tickets):
        begins = left[ticket - parallel] if ticket >= parallel else 0
        left.append(max(begins + wait_s(Record(str(ticket))), left[-1] if left else 0))
    return left[-1]


@pytest.mark.parametrize("parallel", [1, 2, 10, 40])
def test_an_ordered_parallel_map_keeps_the_order_and_overlaps(parallel: int) -> None:
    bench = Bench(Stage(name="slow", handler=slow, parallel=parallel, ordered=True), tickets=20)
    ended = run_virtual(lambda: time_of(bench))
    assert bench.stored_ids == [str(n) for n in range(20) if n not in (4, 9)]
    assert ended == ends_at(20, parallel)
    assert [letter.record.id for letter in bench.letters] == ["4"]


def test_an_unordered_one_lets_the_fast_ones_pass() -> None:
    bench = Bench(Stage(name="slow", handler=slow, parallel=5), tickets=4)
    run_virtual(bench.engine.run)
    assert bench.stored_ids == ["0", "3", "1", "2"]  # after 1, 2, 3 and 5 seconds


def test_children_of_a_fan_out_stay_together() -> None:
    async def two(record: Record, context: object) -> list[Record]:
        await asyncio.sleep(wait_s(record))
        return [record, record]

    bench = Bench(Stage(name="two", handler=two, parallel=3, ordered=True), tickets=4)
    run_virtual(bench.engine.run)
    assert bench.stored_ids == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1", "3.0", "3.1"]
