from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import anyio
import pytest

from streamgen.engine.ack import Ack, Outcome
from streamgen.engine.demand import Demand
from streamgen.engine.graph import build_graph
from streamgen.engine.mailbox import Block
from streamgen.engine.stage import Stage
from streamgen.gate import Gate
from streamgen.journal.journal import Journal
from streamgen.journal.store import Store
from streamgen.measures import Measures
from streamgen.metrics.counts import Counts, CountsSettings
from streamgen.pace import Pace
from streamgen.record import Record, decode
from streamgen.virtual_time import run_virtual


class Bench:
    """A gate over a temporary journal."""

    def __init__(self, missing: int | None, *, window: int = 1000, stages: Sequence[Stage] = (), **more: Any) -> None:
        self.journal = Journal(Store(None))
        self.demand = Demand(10, missing)
        self.pace = Pace(self.journal, window)
        self.counts = Counts(CountsSettings())
        self.unfit: list[str] = []
        self.gate = Gate(
            build_graph(stages), self.journal, self.demand, self.pace,
            metrics=Measures({"counts": self.counts}),
            on_unfit=lambda record, ack, error: self.unfit.append(record.id), **more,
        )  # fmt: skip

    async def accept(self, *ids: str) -> list[Ack]:
        acks = [Ack(int(id_.split(".")[0].split("/")[0]), self.demand) for id_ in ids]
        await self.gate.accept(Block([Record(id_, {"text": id_}) for id_ in ids], acks))
        return acks

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        return [row for name, row in self.journal._queue._rows if name == table]


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.journal.dispose()


def test_exactly_as_many_as_wanted_are_accepted_and_the_rest_is_surplus(benches: list[Bench]) -> None:
    benches.append(bench := Bench(3))
    acks = anyio.run(bench.accept, "0", "1", "2.0", "2.1", "3")
    assert [ack.outcome for ack in acks] == [Outcome.ACCEPTED] * 3 + [Outcome.SURPLUS] * 2
    assert [(seq, id_) for seq, _, id_, _ in bench.rows("records")] == [(1, "0"), (2, "1"), (3, "2.0")]
    assert [id_ for _, id_, _ in bench.rows("surplus")] == ["2.1", "3"]
    assert (bench.demand.missing, bench.demand.accepted, bench.journal.last_seq) == (0, 3, 3)
    assert bench.counts.result()["records"] == 3


def test_what_an_earlier_session_stored_counts_and_is_not_stored_again(benches: list[Bench]) -> None:
    benches.append(bench := Bench(5, accepted={"0.0"}, surplus={"0.1"}))
    acks = anyio.run(bench.accept, "0.0", "0.1", "0.2")
    assert [(ack.accepted, ack.surplus) for ack in acks] == [(1, 0), (0, 1), (1, 0)]
    assert [id_ for _, _, id_, _ in bench.rows("records")] == ["0.2"]
    assert (bench.rows("surplus"), bench.demand.missing, bench.counts.result()["records"]) == ([], 4, 1)


def test_records_of_a_ticket_are_kept_until_it_settles(benches: list[Bench]) -> None:
    benches.append(bench := Bench(1, collect=True))
    anyio.run(bench.accept, "4.0", "4.1", "5")
    assert [record.id for record in bench.gate.records_of(4)] == ["4.0", "4.1"]
    assert (bench.gate.records_of(4), len(bench.gate.records_of(5))) == ((), 1)


def test_a_record_that_json_cannot_hold_is_reported_and_the_others_go_on(benches: list[Bench]) -> None:
    benches.append(bench := Bench(None))

    async def main() -> None:
        records = [Record("0", {"x": 1}), Record("1", {"x": object()}), Record("2", {"x": "\ud800"}), Record("3")]
        await bench.gate.accept(Block(records, [Ack(n, bench.demand) for n in range(4)]))

    anyio.run(main)
    assert bench.unfit == ["1", "2"]
    assert [id_ for _, _, id_, _ in bench.rows("records")] == ["0", "3"]


def test_it_waits_in_the_middle_of_a_block_for_a_consumer_that_is_behind(benches: list[Bench]) -> None:
    benches.append(bench := Bench(None, window=2))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(bench.accept, "0", "1", "2", "3", "4")
            for taken, accepted in ((0, 2), (1, 3), (3, 5)):
                bench.pace.reached(taken)
                await anyio.sleep(1)
                assert (bench.journal.last_seq, bench.pace.is_waiting) == (accepted, accepted < 5)
        async with anyio.create_task_group() as group:
            group.start_soon(bench.accept, "5", "6", "7", "8")
            await anyio.sleep(1)
            assert bench.journal.last_seq == 5
            bench.pace.release()
            bench.pace.reached(0)  # a straggler changes nothing any more
        assert (bench.journal.last_seq, bench.pace.is_waiting) == (9, False)

    run_virtual(main)


def test_it_accepts_nothing_while_the_journal_has_no_room(benches: list[Bench]) -> None:
    benches.append(bench := Bench(None))

    async def main() -> None:
        for n in range(20_001):
            bench.journal.append("facts", str(n), b"")
        async with anyio.create_task_group() as group:
            group.start_soon(bench.accept, "0")
            await anyio.sleep(1)
            assert bench.journal.last_seq == 0
            group.start_soon(bench.journal.run)
            await anyio.sleep(1)
            assert bench.journal.last_seq == 1
            bench.journal.close()

    run_virtual(main)


def stage(name: str, *inputs: str) -> Stage:
    return Stage(name=name, handler=lambda record, context: record, inputs=inputs)


@pytest.mark.parametrize(
    ("stages", "record_id", "path"),
    [
        ([stage("a"), stage("b")], "7.3.0", ("a", "b")),
        ([stage("a"), stage("b", "a"), stage("c", "a")], "7.3/c.1", ("a", "c")),
        ([stage("a", "source"), stage("b", "source"), stage("c", "a", "b")], "7/b.0", ("b", "c")),
        ([stage("a"), stage("b", "a"), stage("c", "a"), stage("d", "c"), stage("e", "c")], "7/c.1/e", ("a", "c", "e")),
    ],
)
def test_the_path_tells_which_way_a_record_went(
    benches: list[Bench], stages: list[Stage], record_id: str, path: tuple[str, ...]
) -> None:
    benches.append(bench := Bench(None, stages=stages))
    anyio.run(bench.accept, record_id)
    ((_, _, _, body),) = bench.rows("records")
    assert decode(body).meta.path == path
