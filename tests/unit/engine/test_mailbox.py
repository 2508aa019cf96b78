"""Mailboxes: bounds, order, cancellation, the end."""

from __future__ import annotations

import asyncio

import pytest

from streamgen.engine.ack import Ack
from streamgen.engine.demand import Demand
from streamgen.engine.mailbox import NOTHING, Block, Mailbox
from streamgen.record import Record
from streamgen.virtual_time import run_virtual

DESK = Demand(1)


def block(*numbers: int, characters: int = 0) -> Block:
    columns = {"text": "x" * characters} if characters else {}
    return Block([Record(str(n), columns) for n in numbers], [Ack(n, DESK) for n in numbers])


def ids(taken: Block | None) -> list[int]:
    assert taken is not None
    assert [int(record.id) for record in taken.records] == [ack.ticket for ack in taken.acks]
    return [ack.ticket for ack in taken.acks]


def test_a_reader_gets_all_that_waits_up_to_its_limit() -> None:
    box = Mailbox(10, 1, limit=4)
    assert box.put_nowait(block(0, 1)) and box.put_nowait(block(2)) and box.put_nowait(block(3, 4))
    assert [ids(box.take_nowait()), ids(box.take_nowait())] == [[0, 1, 2], [3, 4]]  # blocks behind are not cut
    assert box.take_nowait() is None


def test_a_block_larger_than_the_limit_is_cut() -> None:
    box = Mailbox(10, 1, limit=4)
    assert box.put_nowait(block(*range(9)))
    assert [ids(box.take_nowait()) for _ in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_a_block_that_does_not_fit_whole_changes_nothing() -> None:
    box = Mailbox(3, 1)
    assert box.put_nowait(block(0, 1))
    assert not box.put_nowait(block(2, 3))
    assert (len(box), box.peak, box.is_full) == (2, 2, False)


def test_bytes_bound_the_mailbox_as_well() -> None:
    box = Mailbox(10, 1, capacity_bytes=1000, limit=1)
    assert box.put_nowait(block(0, characters=300)) and box.put_nowait(block(1, characters=300))
    assert not box.put_nowait(block(2, characters=1))
    assert (len(box), box.peak_bytes, box.is_full) == (2, 1000, True)
    box.take_nowait()
    assert box.put_nowait(block(2, characters=1))


def test_a_record_larger_than_the_mailbox_enters_alone() -> None:
    box = Mailbox(10, 1, capacity_bytes=100)
    assert box.put_nowait(block(0, characters=5000))
    assert not box.put_nowait(block(1))
    assert ids(box.take_nowait()) == [0]
    assert box.put_nowait(block(1))


def test_columns_that_were_changed_in_place_leave_no_bytes_behind() -> None:
    box = Mailbox(10, 1, capacity_bytes=1000)
    sent = block(0, characters=500)
    box.put_nowait(sent)
    sent.records[0].columns["text"] = ""
    box.take_nowait()
    assert box.put_nowait(block(1, characters=800))


def test_a_writer_waits_and_puts_in_parts() -> None:
    async def main() -> None:
        box = Mailbox(2, 1, limit=2)
        writer = asyncio.create_task(box.put(block(*range(5))))
        taken = []
        for here in (2, 2, 1):
            await asyncio.sleep(1)
            assert len(box) == here
            taken.append(ids(await box.take()))
        assert taken == [[0, 1], [2, 3], [4]]
        assert (writer.done(), box.peak) == (True, 2)

    run_virtual(main)


def test_a_cancelled_take_passes_its_wake_up_on() -> None:
    async def main() -> None:
        box = Mailbox(4, 1)
        first, second = asyncio.create_task(box.take()), asyncio.create_task(box.take())
        await asyncio.sleep(1)
        box.put_nowait(block(0))  # wakes the first reader, which is cancelled before it runs
        first.cancel()
        assert ids(await second) == [0]
        assert first.cancelled() or (await asyncio.wait([first]))[0]
        with pytest.raises(asyncio.CancelledError):
            await first

    run_virtual(main)


def test_a_cancelled_put_passes_its_wake_up_on_and_has_put_nothing() -> None:
    async def main() -> None:
        box = Mailbox(1, 2)
        box.put_nowait(block(0))
        first, second = asyncio.create_task(box.put(block(1))), asyncio.create_task(box.put(block(2)))
        await asyncio.sleep(1)
        assert ids(box.take_nowait()) == [0]  # wakes the first writer, which is cancelled before it runs
        first.cancel()
        await second
        assert ids(box.take_nowait()) == [2]
        with pytest.raises(asyncio.CancelledError):
            await first

    run_virtual(main)


def test_room_for_several_writers_lets_several_in() -> None:
    async def main() -> None:
        box = Mailbox(3, 3, limit=3)
        box.put_nowait(block(0, 1, 2))
        async with asyncio.TaskGroup() as tasks:
            for number in (3, 4, 5):
                tasks.create_task(box.put(block(number)))
            await asyncio.sleep(1)
            assert ids(box.take_nowait()) == [0, 1, 2]
            await asyncio.sleep(1)
            assert ids(box.take_nowait()) == [3, 4, 5]

    run_virtual(main)


def test_after_the_last_writer_readers_get_the_rest_and_then_nothing() -> None:
    async def main() -> None:
        box = Mailbox(4, 2)
        waiting = asyncio.create_task(box.take())
        await asyncio.sleep(1)
        box.put_nowait(block(0))
        box.close()
        assert ids(await waiting) == [0]
        waiting = asyncio.create_task(box.take())
        await asyncio.sleep(1)
        assert not waiting.done()
        box.close()
        assert await waiting is NOTHING is await box.take()

    run_virtual(main)


def test_its_repr_shows_who_waits() -> None:
    assert repr(Mailbox(4, 2)) == "<Mailbox 0/4 records, 0 readers and 0 writers wait, 2 writers open>"
