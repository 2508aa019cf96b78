from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from streamgen.engine.ack import Ack
from streamgen.engine.mailbox import Block
from streamgen.source import BadRow, JsonlRows, JsonlSettings, Place, Row, Rows
from streamgen.tickets import Tickets
from streamgen.tuning import Tuning


class Desk:
    def settled(self, acks: Sequence[Ack]) -> None:
        """Nothing settles here."""


class Bench:
    """Tickets over rows, and the bad rows that were told."""

    def __init__(self, rows: Sequence[Row] | None, unsettled: Sequence[int] = (), following: int = 0) -> None:
        self.bad: list[tuple[int, str]] = []
        source = None if rows is None else Rows(rows)
        self.tickets = Tickets(
            source, Tuning({}, None), 7, unsettled=unsettled, following=following, on_bad=self._on_bad
        )

    async def _on_bad(self, ticket: int, row: BadRow) -> None:
        self.bad.append((ticket, row.where))

    def take(self, credits: int) -> Block:
        return asyncio.run(self.tickets.take(credits, Desk()))


def rows(count: int) -> list[Row]:
    return [{"n": n} for n in range(count)]


def test_each_ticket_gets_the_row_of_its_number_and_the_runs_seed() -> None:
    bench = Bench(rows(5))
    first, second, end = bench.take(3), bench.take(3), bench.take(3)
    records = [*first.records, *second.records]
    assert [(record.id, record["n"], record.meta.ticket, record.meta.seed) for record in records] == [
        (str(n), n, n, 7) for n in range(5)
    ]
    assert [ack.ticket for ack in (*first.acks, *second.acks)] == [0, 1, 2, 3, 4]
    assert (len(end.records), bench.tickets.next_ticket) == (0, 5)


def test_without_a_source_tickets_start_empty_and_never_end() -> None:
    block = Bench(None, unsettled=[1], following=4).take(3)
    assert [(record.id, record.columns) for record in block.records] == [("1", {}), ("4", {}), ("5", {})]


def test_unsettled_tickets_come_first_with_their_own_rows_then_new_ones() -> None:
    bench = Bench(rows(9), unsettled=[1, 4], following=6)
    assert [(record.id, record["n"]) for record in bench.take(10).records] == [
        ("1", 1), ("4", 4), ("6", 6), ("7", 7), ("8", 8),
    ]  # fmt: skip


def test_a_retune_on_a_resume_holds_from_what_was_never_issued() -> None:
    bench = Bench(rows(9), unsettled=[1], following=6)
    bench.take(1)
    assert bench.tickets.next_ticket == 6


def test_bad_rows_keep_their_numbers_are_told_once_and_cost_no_credit() -> None:
    bad = BadRow("f:2", "no JSON", "x")
    bench = Bench([{"n": 0}, bad, {"n": 2}, bad, {"n": 4}], unsettled=[2], following=3)
    assert [record.id for record in bench.take(2).records] == ["2", "4"]
    assert bench.bad == [(3, "f:2")]


def test_a_source_that_has_become_shorter_just_ends() -> None:
    assert Bench(rows(2), unsettled=[1, 5], following=8).take(9).records[-1].id == "1"


def test_the_source_is_asked_now_and_then_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"n": 0}\n' * 3000)
    places: list[Place] = []
    rows = Rows(JsonlRows(JsonlSettings(path=str(path))))
    tickets = Tickets(rows, Tuning({}, None), 7, on_bad=none_is_bad, on_place=places.append)
    assert len(asyncio.run(tickets.take(9999, Desk())).records) == 3000
    assert [(place.row, place.at[0]) for place in places] == [(1024, 1024 * 9), (2048, 2048 * 9)]


async def none_is_bad(ticket: int, row: BadRow) -> None:
    raise AssertionError(row)
