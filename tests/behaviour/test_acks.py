"""Tickets end once, as what became of them; a bad record costs only itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import anyio
import pytest
import uvloop
from engine_bench import Bench, keep

from streamgen.engine.ack import Outcome
from streamgen.engine.stage import Drop, Result, Stage
from streamgen.record import Record
from streamgen.virtual_time import VirtualTimeLoop, run_virtual


async def ask(record: Record, context: object) -> Record:
    await asyncio.sleep(0)
    return record


def thirds(record: Record, context: object) -> Result:
    """Ticket 0, 3, ... goes on, 1, 4, ... is dropped, 2, 5, ... fails."""
    if int(record.id) % 3 == 2:
        raise ValueError("no third")
    return record if int(record.id) % 3 == 0 else Drop("second")


@pytest.mark.parametrize("loop", [VirtualTimeLoop, asyncio.new_event_loop, uvloop.new_event_loop])
def test_every_ticket_ends_as_what_became_of_it(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    bench = Bench(Stage(name="ask", handler=ask, parallel=7), Stage(name="thirds", handler=thirds), tickets=300)
    anyio.run(bench.engine.run, backend_options={"loop_factory": loop})
    assert bench.ended_as(Outcome.ACCEPTED) == list(range(0, 300, 3))
    assert bench.ended_as(Outcome.DROPPED) == list(range(1, 300, 3))
    assert bench.ended_as(Outcome.FAILED) == list(range(2, 300, 3))
    assert (bench.stage("thirds").dropped, bench.stage("thirds").failed) == ({"second": 100}, {"ValueError": 100})


def test_one_bad_record_in_a_batch_of_a_hundred_costs_only_itself() -> None:
    sizes: list[int] = []

    def shout(records: Sequence[Record], context: object) -> Sequence[Result]:
        sizes.append(len(records))
        return [record.with_columns(n=100 // (int(record.id) - 57)) for record in records]

    bench = Bench(Stage(name="shout", handler=shout, batch=100), tickets=100, in_flight=100)
    run_virtual(bench.engine.run)
    assert sizes == [100] + [1] * 100
    assert bench.stored_ids == [str(n) for n in range(100) if n != 57]
    [letter] = bench.letters
    assert (letter.ticket, letter.stage, letter.record.id) == (57, "shout", "57")
    assert letter.error == "ZeroDivisionError: integer division or modulo by zero"
    assert letter.traceback.startswith("Traceback") and "in shout" in letter.traceback


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (5, "int: 5"),
        (0, "int: 0"),
        ("", "str: ''"),
        ({"a": 1}, "dict: {'a': 1}"),
        (["x"], "str: 'x'"),
        (object, "type"),
    ],
)
@pytest.mark.parametrize("is_awaiting", [True, False])
def test_a_wrong_answer_is_explained(answer: object, named: str, is_awaiting: bool) -> None:
    async def later(record: Record, context: object) -> Result:
        return answer  # type: ignore[return-value]

    def now(record: Record, context: object) -> Result:
        return answer  # type: ignore[return-value]

    bench = Bench(Stage(name="odd", handler=later if is_awaiting else now), tickets=1)
    run_virtual(bench.engine.run)
    [letter] = bench.letters
    allowed = "a record, an iterable of records, Drop(reason), True, False or None"
    assert letter.error.startswith(f"TypeError: a handler answers with {allowed}, not with {named}")
    assert bench.ended_as(Outcome.FAILED) == [0]


@pytest.mark.parametrize(
    ("answer", "explained"),
    [
        (lambda records: records[:-1], "answers each record: 1 in, 0 out"),
        (lambda records: iter(records), "a sequence of one result a record, not with "),
        (lambda records: records[0], "a sequence of one result a record, not with Record"),
        (lambda records: None, "a sequence of one result a record, not with NoneType: None"),
    ],
)
def test_a_wrong_answer_to_a_batch_is_explained(answer: Callable[[object], object], explained: str) -> None:
    def odd(records: Sequence[Record], context: object) -> Sequence[Result]:
        return answer(records)  # type: ignore[return-value]

    bench = Bench(Stage(name="odd", handler=odd), tickets=2)
    run_virtual(bench.engine.run)
    assert [explained in letter.error for letter in bench.letters] == [True, True]


def test_a_fan_out_is_named_after_the_record_and_settles_once() -> None:
    def three(record: Record, context: object) -> list[Record]:
        return [Record(columns={"n": n}) for n in range(3)]

    bench = Bench(Stage(name="three", handler=three), Stage(name="keep", handler=keep), tickets=2)
    run_virtual(bench.engine.run)
    assert bench.stored_ids == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    assert {record.meta.parents for record in bench.stored} == {("0",), ("1",)}
    assert [(ack.ticket, ack.accepted, ack.live) for ack in bench.ended] == [(0, 3, 0), (1, 3, 0)]


def test_branches_get_copies_named_after_their_readers_and_merge_again() -> None:
    left = Stage(name="left", handler=keep, inputs=("source",))
    right = Stage(name="right", handler=ask, inputs=("source",), parallel=2)
    both = Stage(name="both", handler=keep, inputs=("left", "right"))
    bench = Bench(left, right, both, tickets=3)
    run_virtual(bench.engine.run)
    assert sorted(bench.stored_ids) == ["0/left", "0/right", "1/left", "1/right", "2/left", "2/right"]
    assert [ack.accepted for ack in bench.ended] == [2, 2, 2]


def test_a_partial_of_an_async_function_is_awaited() -> None:
    async def greet(record: Record, context: object, word: str) -> Record:
        return record.with_columns(word=word)

    bench = Bench(Stage(name="greet", handler=partial(greet, word="hi")), tickets=1)
    run_virtual(bench.engine.run)
    assert bench.stored[0].columns == {"word": "hi"}


def test_without_stages_tickets_go_from_the_source_to_the_sink() -> None:
    bench = Bench(tickets=1000)
    run_virtual(bench.engine.run)
    assert bench.stored_ids == [str(n) for n in range(1000)]


def test_refill_asks_for_no_more_than_the_acceptance_rate_calls_for() -> None:
    """One in four passes: 10 accepted records need about 40 tickets, and no more are out at the end than needed."""

    def quarter(record: Record, context: object) -> bool:
        return int(record.id) % 4 == 3

    bench = Bench(Stage(name="ask", handler=ask), Stage(name="quarter", handler=quarter), missing=10, in_flight=64)
    run_virtual(bench.engine.run)
    assert bench.stored_ids[:10] == [str(n) for n in range(3, 40, 4)]
    assert bench.demand.accepted == 10
    assert 40 <= bench.demand.issued == len(bench.ended) <= 48
