"""A sink that does not move stops the source after an exact number of tickets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
import pytest
import uvloop
from engine_bench import Bench, keep, keep_all

from streamgen.engine.mailbox import Block
from streamgen.engine.stage import Stage
from streamgen.record import Record
from streamgen.virtual_time import VirtualTimeLoop, run_virtual

SINK_CAPACITY = 256


async def pass_on(record: Record, context: object) -> Record:
    await asyncio.sleep(0)
    return record


class Gate:
    """A sink that takes one block and keeps it until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.held = 0
        self.bench: Bench | None = None

    async def accept(self, block: Block) -> None:
        assert self.bench is not None
        self.held = len(block.records)
        await self.opened.wait()
        await self.bench.accept(block)


async def until_nothing_moves(bench: Bench) -> None:
    seen, turns = -1, 0
    while turns < 100:
        turns = turns + 1 if bench.demand.issued == seen else 0
        seen = bench.demand.issued
        await asyncio.sleep(0)


async def issued_before_the_gate_opens(*stages: Stage, in_flight: int, at_once: int = 1) -> tuple[int, int, Bench]:
    """Tickets out while the sink does not move, how many records that held, and the bench after the end."""
    gate = Gate()
    bench = gate.bench = Bench(*stages, tickets=2000, in_flight=in_flight, at_once=at_once, accept=gate.accept)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.engine.run)
        await until_nothing_moves(bench)
        issued, held = bench.demand.issued, gate.held
        gate.opened.set()
    assert len(bench.stored) == 2000 == len(bench.ended)
    return issued, held, bench


@pytest.mark.parametrize("loop", [VirtualTimeLoop, uvloop.new_event_loop])
@pytest.mark.parametrize(("capacities", "parallel"), [((1,), 1), ((3, 5), 2), ((7, 1, 4), 8)])
def test_a_source_issues_what_the_mailboxes_and_hands_can_hold(
    loop: Callable[[], asyncio.AbstractEventLoop], capacities: tuple[int, ...], parallel: int
) -> None:
    """Each inline stage holds its mailbox and one stuck record, the awaiting one its mailbox and one a worker."""
    inline = [Stage(name=f"s{n}", handler=keep, capacity=size, batch=1) for n, size in enumerate(capacities)]
    awaiting = Stage(name="last", handler=pass_on, capacity=6, parallel=parallel)

    async def main() -> tuple[int, int, Bench]:
        return await issued_before_the_gate_opens(*inline, awaiting, in_flight=10_000)

    issued, held, bench = anyio.run(main, backend_options={"loop_factory": loop})
    in_stages = sum(size + 1 for size in capacities) + 6 + parallel
    at_the_source = 1
    assert issued == held + SINK_CAPACITY + in_stages + at_the_source
    assert all(actor.inbox.peak == actor.inbox.capacity for actor in bench.engine._actors)


def test_a_source_of_blocks_stops_with_the_one_that_does_not_fit_in_its_hands() -> None:
    """Stages hold whole blocks of 4: two in the mailbox and one that is stuck; the source gives 10 at a time."""
    stages = [Stage(name=f"s{n}", handler=keep_all, capacity=8, batch=4) for n in range(2)]

    async def main() -> tuple[int, int, Bench]:
        return await issued_before_the_gate_opens(*stages, in_flight=10_000, at_once=10)

    issued, held, _ = run_virtual(main)
    room = held + SINK_CAPACITY + 2 * (8 + 4)
    assert issued == (room // 10 + 1) * 10


@pytest.mark.parametrize("in_flight", [1, 17, 200])
def test_credits_stop_the_source_before_the_mailboxes_are_full(in_flight: int) -> None:
    stage = Stage(name="only", handler=keep, capacity=500)

    async def main() -> tuple[int, int, Bench]:
        return await issued_before_the_gate_opens(stage, in_flight=in_flight)

    issued, _, _ = run_virtual(main)
    assert issued == in_flight


def test_a_mailbox_in_bytes_holds_back_as_well() -> None:
    """A record without columns weighs 200 bytes: 3 of them fit into 600."""
    stage = Stage(name="only", handler=keep, capacity=500, capacity_bytes=600, batch=1)

    async def main() -> tuple[int, int, Bench]:
        return await issued_before_the_gate_opens(stage, in_flight=10_000)

    issued, held, bench = run_virtual(main)
    assert issued == held + SINK_CAPACITY + 3 + 1 + 1
    assert bench.engine._actors[0].inbox.peak_bytes == 600


def test_a_slow_branch_holds_back_the_fast_one() -> None:
    """Both branches read the source; while one does not move the other gets no more than the source could send."""

    async def main() -> tuple[int, int, int]:
        opened = asyncio.Event()

        async def slow(record: Record, context: object) -> Record:
            await opened.wait()
            return record

        stages = [
            Stage(name="fast", handler=keep, inputs=("source",), batch=1),
            Stage(name="slow", handler=slow, inputs=("source",), capacity=5, parallel=2),
        ]
        bench = Bench(*stages, tickets=100, at_once=1, in_flight=1000)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.engine.run)
            await anyio.sleep(1)
            seen = bench.stage("fast").received
            issued = bench.demand.issued
            opened.set()
        return issued, seen, len(bench.stored)

    in_slow = 5 + 2
    assert run_virtual(main) == (in_slow + 1, in_slow + 1, 200)
