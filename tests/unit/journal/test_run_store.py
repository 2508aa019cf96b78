from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from streamgen.errors import JournalError
from streamgen.journal.store import Cell, Store, unsettled


@pytest.fixture(params=["file", "temporary"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    store = Store(tmp_path / "run.db" if request.param == "file" else None)
    request.addfinalizer(store.close)
    return store


def outcome(*tickets: int) -> list[tuple[Cell, ...]]:
    return [(ticket, "accepted", None, None) for ticket in tickets]


def record(seq: int, ticket: int, body: bytes = b"{}") -> tuple[Cell, ...]:
    return (seq, ticket, str(ticket), body)


def call(ticket: int) -> tuple[Cell, ...]:
    return (ticket, "stage", str(ticket), 0, "main", b"", b"", 1, 1, 1, None)


def test_a_commit_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(JournalError, match="UNIQUE constraint"):
        store.commit({"outcomes": outcome(1), "records": [record(1, 1), record(1, 2)]})
    assert (store.last_seq, store.read("SELECT * FROM outcomes")) == (0, [])
    store.commit({"outcomes": outcome(1), "records": [record(1, 1)]})
    assert store.last_seq == 1


def test_records_come_in_pages_in_order(store: Store) -> None:
    store.commit({"records": [record(seq, 10 - seq, b"%d" % seq) for seq in range(1, 8)]})
    assert [[stored.seq for stored in page] for page in store.pages(after=1, size=3)] == [[2, 3, 4], [5, 6, 7]]
    assert store.records(6, 10) == [(7, b"7")]


def test_a_fresh_store_has_nothing_unsettled(store: Store) -> None:
    assert unsettled(store) == ([], 0)


def test_gaps_and_traces_without_an_outcome_are_unsettled(store: Store) -> None:
    store.commit({"outcomes": outcome(0, 1, 4, 7), "calls": [call(4), call(8)], "records": [record(1, 10)]})
    assert unsettled(store) == ([2, 3, 5, 6, 8, 9, 10], 11)
    store.commit({"surplus": [(12, "12.0", b"{}")]})
    assert unsettled(store) == ([2, 3, 5, 6, 8, 9, 10, 11, 12], 13)


def test_a_first_ticket_that_is_missing_is_unsettled(store: Store) -> None:
    store.commit({"outcomes": outcome(2)})
    assert unsettled(store) == ([0, 1], 3)


def test_the_oldest_surplus_is_used_first(store: Store) -> None:
    surplus: list[tuple[Cell, ...]] = [(ticket, str(ticket), b"%d" % ticket) for ticket in (5, 3, 4)]
    outcomes: list[tuple[Cell, ...]] = [(ticket, "surplus", None, None) for ticket in (3, 4, 5)]
    store.commit({"records": [record(1, 0, b"0")], "surplus": surplus, "outcomes": outcomes})
    assert store.use_surplus(0) == 0
    assert store.use_surplus(2) == 2
    assert [body for _, body in store.records(0, 10)] == [b"0", b"5", b"3"]
    assert store.read("SELECT ticket, outcome FROM outcomes") == [(3, "accepted"), (4, "surplus"), (5, "accepted")]
    assert store.use_surplus(None) == 1
    assert (store.use_surplus(None), store.last_seq) == (0, 4)


def test_a_dead_letter_that_comes_again_is_kept_once(store: Store) -> None:
    letter = (3, "stage", "3.1", b"{}", "first", "")
    store.commit({"letters": [letter]})
    store.commit({"letters": [(*letter[:4], "again", "")]})
    assert store.read("SELECT record, error FROM letters") == [("3.1", "again")]


def test_a_path_with_special_characters_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "50% off? #1 & more" / "run.db"
    path.parent.mkdir()
    Store(path).close()
    assert [file.name for file in path.parent.iterdir()] == ["run.db"]
    Store(path, read_only=True).close()


def test_reading_needs_a_journal_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="unable to open"):
        Store(tmp_path / "run.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_database_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE mine (x)")
    foreign.commit()
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="not one of streamgen's"):
        Store(path)
    assert path.read_bytes() == before


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db")
    store.read("PRAGMA max_page_count = 20")
    with pytest.raises(JournalError, match="no space is left for the journal"):
        store.commit({"records": [record(1, 1, b"x" * 1_000_000)]})
    assert store.last_seq == 0
    store.close()


def test_a_run_where_nothing_can_be_written_is_read_without_a_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "run.db")
    store.commit({"records": [record(1, 1, b"one")]})
    store.close()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    reader = Store(tmp_path / "run.db", read_only=True)
    assert [stored.body for stored in reader.records(0, 10)] == [b"one"]
    assert [path.name for path in tmp_path.iterdir()] == ["run.db"]
    reader.close()


def test_a_run_that_somebody_writes_is_never_taken_for_a_still_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    store = Store(tmp_path / "run.db")
    store.commit({"records": [record(1, 1)]})
    reader = Store(tmp_path / "run.db", read_only=True)
    store.commit({"records": [record(2, 2)]})
    assert reader.last_seq == 2
    reader.close()
    store.close()
