"""Whatever ends a run in the middle is told plainly, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import anyio
import pytest
import uvloop
from engine_bench import Bench, keep

from streamgen.engine.ack import Ack, Desk
from streamgen.engine.mailbox import Block
from streamgen.engine.stage import Result, Stage
from streamgen.errors import EndpointError, FatalError
from streamgen.record import Record
from streamgen.virtual_time import VirtualTimeLoop, run_virtual


async def a_second(record: Record, context: object) -> Record:
    await asyncio.sleep(1)
    return record


@pytest.mark.parametrize("loop", [VirtualTimeLoop, uvloop.new_event_loop])
def test_a_cancelled_run_leaves_no_task_and_no_complaint(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    complaints: list[dict[str, object]] = []
    stages = [Stage(name="wait", handler=a_second, parallel=5, ordered=True, capacity=3), Stage(name="k", handler=keep)]

    async def main() -> int:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        bench = Bench(*stages, in_flight=20)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.engine.run)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert len(asyncio.all_tasks()) == 1
        return bench.demand.outstanding

    assert anyio.run(main, backend_options={"loop_factory": loop}) == 20
    assert complaints == []


def test_a_task_that_is_cancelled_in_plain_asyncio_ends_as_cancelled() -> None:
    async def main() -> None:
        task = asyncio.create_task(Bench(Stage(name="wait", handler=a_second)).engine.run())
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    run_virtual(main)


@pytest.mark.parametrize("kind", ["awaiting", "inline", "batch"])
def test_a_fatal_error_is_raised_bare_with_its_cause(kind: str) -> None:
    calls: list[str] = []

    def refuse(record: Record) -> Record:
        calls.append(record.id)
        if record.id == "3":
            raise EndpointError("the key is wrong") from OSError("401")
        return record

    async def awaiting(record: Record, context: object) -> Record:
        return refuse(record)

    def inline(record: Record, context: object) -> Record:
        return refuse(record)

    def batch(records: Sequence[Record], context: object) -> Sequence[Result]:
        return [refuse(record) for record in records]

    handlers = {"awaiting": awaiting, "inline": inline, "batch": batch}
    bench = Bench(Stage(name="ask", handler=handlers[kind]))  # type: ignore[arg-type]
    with pytest.raises(EndpointError, match="the key is wrong") as caught:
        run_virtual(bench.engine.run)
    assert isinstance(caught.value.__cause__, OSError)
    assert calls == ["0", "1", "2", "3"]  # nothing is asked a second time
    assert bench.letters == []


def test_one_cause_that_all_workers_meet_at_once_is_one_error() -> None:
    async def refused(record: Record, context: object) -> Record:
        await asyncio.sleep(1)
        raise EndpointError("the key is wrong")

    bench = Bench(Stage(name="ask", handler=refused, parallel=16))
    with pytest.raises(EndpointError, match="the key is wrong"):
        run_virtual(bench.engine.run)


def test_different_causes_stay_a_flat_group() -> None:
    async def breaks(record: Record, context: object) -> Record:
        try:
            await asyncio.sleep(1)
        finally:
            raise FatalError("first") if record.id == "0" else EndpointError("second")

    bench = Bench(Stage(name="ask", handler=breaks, parallel=2), tickets=2)
    with pytest.raises(ExceptionGroup) as caught:
        run_virtual(bench.engine.run)
    assert [str(error) for error in caught.value.exceptions] == ["first", "second"]


@pytest.mark.parametrize("side", ["source", "sink", "watcher"])
def test_an_error_of_the_engines_surroundings_is_raised_as_it_is(side: str) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space left on device")

    async def broken_later(*_: object) -> None:
        broken()

    bench = Bench(Stage(name="k", handler=keep))
    if side == "source":
        bench.source.take = broken_later  # type: ignore[method-assign, assignment]
    elif side == "sink":
        bench.engine._accept = broken_later
    else:
        bench.engine._watchers.insert(0, broken)
    with pytest.raises(OSError, match="no space left"):
        run_virtual(bench.engine.run)


def test_a_cancelled_error_out_of_a_handler_fails_its_record_only() -> None:
    """A future that somebody else cancelled must not end a worker in silence."""

    async def shares_a_future(record: Record, context: object) -> Record:
        if record.id == "1":
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(1, future.cancel)
            await future
        return record

    bench = Bench(Stage(name="ask", handler=shares_a_future), tickets=3)
    run_virtual(bench.engine.run)
    assert bench.stored_ids == ["0", "2"]
    assert [letter.error for letter in bench.letters] == ["CancelledError: "]


def test_a_source_that_gives_more_than_it_may_is_refused() -> None:
    class Generous:
        async def take(self, credits: int, desk: Desk) -> Block:
            return Block([Record("0")] * (credits + 1), [Ack(0, desk)] * (credits + 1))

    bench = Bench(Stage(name="k", handler=keep), in_flight=4)
    bench.engine._source = Generous()
    with pytest.raises(FatalError, match="the source gave 5 tickets for 4 credits"):
        run_virtual(bench.engine.run)
