from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from streamgen import measures as module
from streamgen.journal.store import Store
from streamgen.measures import Measures
from streamgen.metrics import Accumulator
from streamgen.metrics.class_balance import ClassBalance, ClassBalanceSettings
from streamgen.metrics.counts import Counts, CountsSettings
from streamgen.metrics.distinct_n import DistinctN, DistinctNSettings
from streamgen.metrics.lengths import Lengths, LengthsSettings
from streamgen.record import Meta, Record, encode

RECORDS = [
    Record(str(n), {"text": f"word {n} " * (n % 90), "label": f"label {n % 30}"}, Meta(ticket=7 * n))
    for n in range(400)
]
SETTINGS: dict[str, Any] = {
    "counts": CountsSettings(by=("label",), most_values=10),
    "balance": ClassBalanceSettings(most_labels=20),
    "lengths": LengthsSettings(column="text"),
    "distinct": DistinctNSettings(column="text", kept=16),
}


class Last:
    """A metric without a snapshot: the last record's id, and how many there were."""

    def __init__(self) -> None:
        self.last, self.count = "", 0

    def update(self, records: Sequence[Record]) -> None:
        self.last, self.count = records[-1].id, self.count + len(records)

    def merge(self, other: object) -> None:
        """Never."""

    def result(self) -> Mapping[str, object]:
        return {"last": self.last, "count": self.count}


def metrics() -> dict[str, Accumulator]:
    return {
        "counts": Counts(SETTINGS["counts"]), "balance": ClassBalance(SETTINGS["balance"]),
        "lengths": Lengths(SETTINGS["lengths"]), "distinct": DistinctN(SETTINGS["distinct"]), "last": Last(),
    }  # fmt: skip


class Bench:
    """A store with records, and measures that write into it."""

    def __init__(self) -> None:
        self.store = Store(None)

    def measures(self, **changed: msgspec.Struct) -> Measures:
        return Measures(metrics(), {**SETTINGS, **changed}, lambda *row: self.store.commit({"snapshots": [row]}))

    def accept(self, measures: Measures, records: Sequence[Record], first: int) -> None:
        rows = [(n, 0, record.id, encode(record)) for n, record in enumerate(records, first)]
        self.store.commit({"records": rows})
        measures.update(records)

    def count_reads(self) -> list[int]:
        """How many records are read from here on, by page."""
        sizes: list[int] = []
        pages = self.store.pages

        def counted(after: int = 0) -> Iterator[list[object]]:
            for page in pages(after):
                sizes.append(len(page))
                yield page  # type: ignore[misc]

        self.store.pages = counted  # type: ignore[method-assign, assignment]
        return sizes


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.store.close()


@pytest.mark.parametrize("noted_at", [0, 1, 250, 400])
def test_a_resumed_run_measures_as_if_it_had_not_been_interrupted(bench: Bench, noted_at: int) -> None:
    first = bench.measures()
    bench.accept(first, RECORDS[:noted_at], 1) if noted_at else None
    first.note()
    bench.accept(first, RECORDS[noted_at:], noted_at + 1) if noted_at < 400 else None
    second = bench.measures()
    second.recall(bench.store)
    assert (second.seq, second.results()) == (400, first.results())
    bench.store.commit({"records": [(401, 0, "x", encode(RECORDS[5]))]})
    for measures in (first, second):
        measures.update([RECORDS[5]])
    assert second.results() == first.results()


def test_only_records_behind_the_snapshots_are_read(bench: Bench) -> None:
    counts = {"counts": Counts(SETTINGS["counts"])}
    first = Measures(counts, SETTINGS, lambda *row: bench.store.commit({"snapshots": [row]}))
    bench.accept(first, RECORDS[:390], 1)
    first.note()
    bench.accept(first, RECORDS[390:], 391)
    second = Measures({"counts": Counts(SETTINGS["counts"])}, SETTINGS)
    sizes = bench.count_reads()
    second.recall(bench.store)
    assert (sizes, second.results()) == ([10], first.results())


def test_a_snapshot_of_other_settings_is_not_taken(bench: Bench) -> None:
    first = bench.measures()
    bench.accept(first, RECORDS, 1)
    first.note()
    other = bench.measures(counts=CountsSettings(by=("label",), most_values=11))
    other.recall(bench.store)
    assert other.results() == first.results()  # of the settings that they were built with, from all records
    assert bench.store.one("SELECT count(*) FROM snapshots") == (4,)


def test_they_are_noted_now_and_then(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_NOTED_RECORDS", 100)
    measures = bench.measures()
    for first in range(0, 400, 40):
        bench.accept(measures, RECORDS[first : first + 40], first + 1)
    assert bench.store.read("SELECT name, seq FROM snapshots ORDER BY name") == [
        (name, 360) for name in ("balance", "counts", "distinct", "lengths")
    ]
    measures.note()
    assert bench.store.one("SELECT min(seq) FROM snapshots") == (400,)


class Slow(Last):
    """A metric whose result is costly: how often it was asked for."""

    is_costly = True
    asked = 0

    def result(self) -> Mapping[str, object]:
        self.asked += 1
        return super().result()


def test_a_costly_result_is_calculated_seldom_and_of_all_records_in_the_end() -> None:
    slow = Slow()
    measures = Measures({"slow": slow})
    told = []
    for n in range(100):
        measures.update(RECORDS[n : n + 1])
        told.append(measures.results()["slow"]["count"])
    assert all(seen <= n <= 1.5 * seen for n, seen in enumerate(told, 1))
    assert slow.asked == len(set(told)) == 10  # of 1, 2, 4, 7, 11 ... records
    measures.end()
    assert measures.results()["slow"]["count"] == 100
    assert measures.results()["slow"] is measures.results()["slow"]
