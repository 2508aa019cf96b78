"""A retune reaches the next ticket and never a batch or a ticket that has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine_bench import Bench, Tickets

from streamgen.engine.stage import Stage
from streamgen.record import Record
from streamgen.virtual_time import run_virtual

OLD, NEW = {"temperature": 0.2}, {"temperature": 1.2}


def test_a_batch_is_cut_where_the_settings_change() -> None:
    seen: list[tuple[object, list[str]]] = []

    def look(records: Sequence[Record], context: object) -> Sequence[Record]:
        seen.append((context, [record.id for record in records]))
        return records

    bench = Bench(Stage(name="look", handler=look, batch=8), tickets=10, in_flight=10)
    bench.engine._source = Tickets(10, settings=lambda ticket: OLD if ticket < 3 or ticket == 6 else NEW)
    bench.engine.is_tuned = True
    run_virtual(bench.engine.run)
    assert seen == [(OLD, ["0", "1", "2"]), (NEW, ["3", "4", "5"]), (OLD, ["6"]), (NEW, ["7"]), (NEW, ["8", "9"])]
    assert bench.stored_ids == [str(n) for n in range(10)]


def test_a_ticket_keeps_its_settings_through_all_stages() -> None:
    current = {"now": OLD}
    seen: dict[str, list[object]] = {}

    async def first(record: Record, context: object) -> Record:
        seen.setdefault(record.id, []).append(context)
        current["now"] = NEW  # the controller's turn, while this ticket is under way
        await asyncio.sleep(1)
        return record

    def second(record: Record, context: object) -> Record:
        seen[record.id].append(context)
        return record

    bench = Bench(Stage(name="first", handler=first, parallel=2), Stage(name="second", handler=second), in_flight=2)
    bench.engine._source = Tickets(5, settings=lambda ticket: current["now"])
    bench.engine.is_tuned = True
    run_virtual(bench.engine.run)
    assert seen == {"0": [OLD, OLD], "1": [OLD, OLD], "2": [NEW, NEW], "3": [NEW, NEW], "4": [NEW, NEW]}
