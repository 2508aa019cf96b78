"""A run that cannot succeed ends with a message that names the stage and the cause."""

from __future__ import annotations

import asyncio

import pytest
from engine_bench import Bench, keep

from streamgen.engine.mailbox import Block
from streamgen.engine.run import Bounds
from streamgen.engine.stage import Drop, Stage
from streamgen.errors import NoProgress, TooManyFailures
from streamgen.record import Record
from streamgen.virtual_time import run_virtual


async def ask(record: Record, context: object) -> Record:
    await asyncio.sleep(1)
    if int(record.id) % 5:
        raise ConnectionError("connection refused")
    return record


def test_too_many_failures_name_stage_cause_and_share() -> None:
    bench = Bench(Stage(name="ask", handler=ask), bounds=Bounds(failure_share=0.5, failure_enough=20))
    with pytest.raises(TooManyFailures) as caught:
        run_virtual(bench.engine.run)
    assert str(caught.value) == (
        "16 of the last 20 tickets failed, more than the allowed share of 0.5; most often (16 times): "
        "ask: ConnectionError: connection refused. The dead letters tell which records"
    )
    assert len(bench.letters) == 16


def test_failures_below_the_share_are_let_through() -> None:
    bench = Bench(Stage(name="ask", handler=ask), tickets=100, bounds=Bounds(failure_share=0.8, failure_enough=10))
    run_virtual(bench.engine.run)
    assert (len(bench.stored), len(bench.letters)) == (20, 80)


def test_a_barren_run_names_what_became_of_its_tickets() -> None:
    def strict(record: Record, context: object) -> Drop:
        if int(record.id) % 4 == 0:
            raise ValueError("odd")
        return Drop("too_short")

    bench = Bench(Stage(name="length", handler=strict), missing=1, bounds=Bounds(failure_share=1, barren_tickets=100))
    with pytest.raises(NoProgress) as caught:
        run_virtual(bench.engine.run)
    assert "tickets gave no accepted record: dropped by length: too_short (" in str(caught.value)
    assert "times), failed in length: ValueError: odd (" in str(caught.value)
    assert 100 <= bench.demand.settled_tickets < 100 + bench.demand.in_flight


async def hangs(record: Record, context: object) -> Record:
    await asyncio.Event().wait()
    return record


async def when_it_stalls(bench: Bench) -> tuple[float, str]:
    with pytest.raises(NoProgress) as caught:
        await bench.engine.run()
    return asyncio.get_running_loop().time(), str(caught.value)


def test_a_stall_names_the_handler_that_does_not_return() -> None:
    bench = Bench(Stage(name="ask", handler=hangs, parallel=3), Stage(name="keep", handler=keep), in_flight=7)
    after_s, message = run_virtual(lambda: when_it_stalls(bench))
    assert after_s == pytest.approx(660)  # it moved in the first of ten looks
    assert message == "nothing moved for 600 s: stage 'ask' has 3 records in its handler, the oldest for 660 s"


def test_a_stall_names_who_waits_for_whom() -> None:
    bench = Bench(Stage(name="keep", handler=keep), Stage(name="ask", handler=hangs, capacity=2), in_flight=50)
    _, message = run_virtual(lambda: when_it_stalls(bench))
    assert "stage 'keep' waits for room in front of 'ask'; stage 'ask' has 1 records in its handler" in message


def test_a_stall_names_the_sink() -> None:
    async def full(block: Block) -> None:
        await asyncio.Event().wait()

    bench = Bench(Stage(name="keep", handler=keep), in_flight=5, accept=full)
    _, message = run_virtual(lambda: when_it_stalls(bench))
    assert message == "nothing moved for 600 s: the sink has 5 records in its hands, 0 wait for it"


def test_a_stall_names_the_source() -> None:
    bench = Bench(Stage(name="keep", handler=keep))
    bench.source.take = lambda credits, desk: asyncio.sleep(10**6)
    _, message = run_virtual(lambda: when_it_stalls(bench))
    assert message == "nothing moved for 600 s: every stage is idle; the source gives no tickets"


def test_a_consumer_that_makes_the_run_wait_is_no_stall() -> None:
    """Paused for two hours, to just before the guard looks: the stall is counted from there on."""
    bench = Bench(Stage(name="ask", handler=hangs), in_flight=1)
    resumed_at_s = 7199
    bench.engine.is_paused = lambda: asyncio.get_running_loop().time() < resumed_at_s
    after_s, _ = run_virtual(lambda: when_it_stalls(bench))
    assert after_s == pytest.approx(7200 + 9 * 60)
