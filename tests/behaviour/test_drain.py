"""A stopped run issues no more and ends what it began."""

from __future__ import annotations

import asyncio

import anyio
from engine_bench import Bench, keep

from streamgen.engine.ack import Desk, Outcome
from streamgen.engine.mailbox import Block
from streamgen.engine.stage import Stage
from streamgen.errors import BudgetExhausted
from streamgen.record import Record
from streamgen.virtual_time import run_virtual


async def a_second(record: Record, context: object) -> Record:
    await asyncio.sleep(1)
    return record


def test_stop_drains_what_is_in_flight() -> None:
    bench = Bench(Stage(name="wait", handler=a_second, parallel=4), Stage(name="keep", handler=keep), in_flight=10)

    async def main() -> float:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.engine.run)
            await asyncio.sleep(2.5)
            bench.engine.stop("interrupted")
            bench.engine.stop("again")
        return asyncio.get_running_loop().time()

    # 8 are stored by second 2, 10 are out: 4 workers need until second 5 for them
    assert run_virtual(main) == 5.0
    assert bench.engine.stop_reason == "interrupted"
    assert sorted(map(int, bench.stored_ids)) == list(range(18))
    assert len(bench.ended_as(Outcome.ACCEPTED)) == 18 == bench.demand.issued


def test_a_budget_that_ends_abandons_its_tickets_and_drains_the_others() -> None:
    paid: list[str] = []

    async def pay(record: Record, context: object) -> Record:
        if len(paid) == 5:
            raise BudgetExhausted("0.05 of 0.05 USD are spent")
        paid.append(record.id)
        await asyncio.sleep(1)
        return record

    bench = Bench(Stage(name="pay", handler=pay, parallel=3), in_flight=8)
    run_virtual(bench.engine.run)
    assert bench.engine.stop_reason == "0.05 of 0.05 USD are spent"
    assert bench.stored_ids == paid == ["0", "1", "2", "3", "4"]
    abandoned = bench.ended_as(Outcome.ABANDONED)
    assert abandoned == list(range(5, bench.demand.issued))
    assert bench.stage("pay").abandoned == len(abandoned)
    assert bench.letters == []


def test_no_call_is_made_for_a_ticket_that_is_abandoned_already() -> None:
    asked: list[str] = []

    def two(record: Record, context: object) -> list[Record]:
        return [record, record]

    async def ask(record: Record, context: object) -> Record:
        asked.append(record.id)
        raise BudgetExhausted("spent")

    bench = Bench(Stage(name="two", handler=two), Stage(name="ask", handler=ask), tickets=2)
    run_virtual(bench.engine.run)
    assert asked == ["0.0", "1.0"]
    assert bench.stage("ask").abandoned == 4
    assert bench.ended_as(Outcome.ABANDONED) == [0, 1]


class Waiting:
    """A source that gives one ticket and then waits for ever."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.was_let_go = False

    async def take(self, credits: int, desk: Desk) -> Block:
        if self.bench.source.next:
            try:
                await asyncio.Event().wait()
            finally:
                self.was_let_go = True
        return await self.bench.source.take(1, desk)


def test_a_source_that_waits_is_let_go_by_a_stop() -> None:
    bench = Bench(Stage(name="keep", handler=keep))
    source = bench.engine._source = Waiting(bench)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.engine.run)
            await asyncio.sleep(1)
            bench.engine.stop("enough")

    run_virtual(main)
    assert source.was_let_go
    assert (bench.stored_ids, bench.demand.issued, bench.demand.outstanding) == (["0"], 1, 0)


def test_a_source_that_waits_is_let_go_when_the_quota_is_met() -> None:
    def two(record: Record, context: object) -> list[Record]:
        return [record, record]

    async def later(record: Record, context: object) -> Record:
        await asyncio.sleep(1)
        return record

    bench = Bench(Stage(name="two", handler=two), Stage(name="later", handler=later), missing=2)
    source = bench.engine._source = Waiting(bench)
    run_virtual(bench.engine.run)
    assert source.was_let_go
    assert (bench.stored_ids, bench.demand.issued, bench.demand.outstanding) == (["0.0", "0.1"], 1, 0)


def test_an_engine_that_was_stopped_before_it_runs_issues_nothing() -> None:
    bench = Bench(Stage(name="keep", handler=keep))
    bench.engine.stop("not today")
    run_virtual(bench.engine.run)
    assert (bench.demand.issued, bench.source.next) == (0, 0)


def test_what_a_source_gives_while_it_stops_the_run_is_run() -> None:
    class Last:
        async def take(self, credits: int, desk: Desk) -> Block:
            block = await bench.source.take(credits, desk)
            bench.engine.stop("that was all")
            return block

    bench = Bench(Stage(name="wait", handler=a_second, capacity=1), in_flight=10)
    bench.engine._source = Last()
    run_virtual(bench.engine.run)
    assert bench.stored_ids == [str(n) for n in range(10)]
