from __future__ import annotations

import os
import sqlite3
from errno import ENOSPC
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from streamgen.errors import JournalError
from streamgen.journal.progress import Cell, Progress, Spent, Traces
from streamgen.journal.store import Store


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
    return (ticket, "stage", str(ticket), 0, "main", b"{}", b"{}", 1, 1, 1, None)


def unsettled(store: Store) -> tuple[list[int], int]:
    progress = store.progress()
    return sorted(progress.open), progress.following


def test_a_commit_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(JournalError, match="NOT NULL constraint"):
        store.commit(
            {"outcomes": outcome(1), "records": [record(1, 1)], "rewards": [(1, b"")], "surplus": [(2, "2", None)]}
        )
    assert (store.last_seq, store.read("SELECT * FROM outcomes"), store.progress()) == (0, [], Progress())
    store.commit({"outcomes": outcome(1), "records": [record(1, 1)]})
    assert store.last_seq == 1


def test_a_record_that_is_not_the_next_one_is_refused(store: Store) -> None:
    with pytest.raises(JournalError, match="record 2 was to be stored behind record 0"):
        store.commit({"records": [record(2, 1)]})


def test_records_come_in_pages_in_order(store: Store) -> None:
    for seqs in ((1, 2, 3), (4,), (5, 6, 7)):
        store.commit({"records": [record(seq, 10 - seq, b"%d" % seq) for seq in seqs]})
    assert [[stored.seq for stored in page] for page in store.pages(after=1)] == [[2, 3], [4], [5, 6, 7]]
    assert store.records(2, 3) == [(3, b"3"), (4, b"4"), (5, b"5")]
    assert store.records(6, 10) == [(7, b"7")]
    assert store.records(7, 10) == store.records(0, 0) == []


def test_a_large_commit_makes_pages_that_a_reader_can_hold(store: Store) -> None:
    store.commit({"records": [record(seq, seq, b"%d" % seq) for seq in range(1, 1201)]})
    assert [len(page) for page in store.pages()] == [512, 512, 176]
    store.commit({"records": [record(seq, seq, b"x" * 600_000) for seq in range(1201, 1204)]})
    assert [len(page) for page in store.pages(after=1200)] == [2, 1]


def test_a_fresh_store_has_nothing_unsettled(store: Store) -> None:
    assert unsettled(store) == ([], 0)


def test_gaps_and_traces_without_an_outcome_are_unsettled(store: Store) -> None:
    store.commit({"outcomes": outcome(0, 1, 4, 7), "calls": [call(4), call(8)], "records": [record(1, 10)]})
    assert unsettled(store) == ([2, 3, 5, 6, 8, 9, 10], 11)
    store.commit({"surplus": [(12, "12.0", b"{}")]})
    assert unsettled(store) == ([2, 3, 5, 6, 8, 9, 10, 11, 12], 13)
    store.commit({"outcomes": outcome(2, 9, 12)})
    assert unsettled(store) == ([3, 5, 6, 8, 10, 11], 13)


def test_a_first_ticket_that_is_missing_is_unsettled(store: Store) -> None:
    store.commit({"outcomes": outcome(2)})
    assert unsettled(store) == ([0, 1], 3)


def test_what_an_open_ticket_has_left_is_known_until_it_settles(store: Store) -> None:
    store.commit({"calls": [call(0), call(1), call(1)], "surplus": [(1, "1.1", b"{}")], "outcomes": outcome(0)})
    store.commit({"calls": [call(1), call(2)], "records": [record(1, 1)]})
    assert store.progress().open == {1: Traces([1, 2], ["1"], ["1.1"]), 2: Traces([2])}
    assert store.progress().holders == {1: 1, 2: 2}
    store.commit({"outcomes": outcome(1)})
    assert (store.progress().open, store.progress().holders) == ({2: Traces([2])}, {2: 1})


def test_totals_are_kept_with_the_rows_that_they_tell_of(store: Store) -> None:
    drops = b'[["short","too_short",2],["new","duplicate",1]]'
    store.commit(
        {
            "outcomes": [(0, "accepted", None, None), (1, "dropped", drops, None), (2, "failed", None, "no")],
            "calls": [call(0), (*call(1)[:-4], 10, 5, 2, 0.5)],
            "wasted": [(2, "stage", "main", 1, 2, 3, 0.25), (2, "other", "main", 1, 2, 3, None)],
        }
    )
    store.commit({"outcomes": [(3, "dropped", drops, None)], "wasted": [(3, "stage", "small", 1, 1, 1, None)]})
    progress = store.progress()
    assert progress.tickets == {"accepted": 1, "dropped": 2, "failed": 1}
    assert progress.drops == {"short": {"too_short": 4}, "new": {"duplicate": 2}}
    assert progress.spent == {
        "main": {"stage": Spent(2, 6, 12, 8, 0.75, 1), "other": Spent(0, 3, 1, 2, 0.0, 3)},
        "small": {"stage": Spent(0, 1, 1, 1, 0.0, 1)},
    }


def test_only_the_calls_of_open_tickets_are_kept_where_the_rest_is_not_wanted(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db", retain="accepted")
    store.commit({"calls": [call(0), call(1), call(2)], "outcomes": outcome(0)})
    assert [kept.ticket for kept in store.calls(1)] == [1, 2]
    store.commit({"outcomes": outcome(1), "calls": [call(2)]})
    assert [kept.ticket for kept in (*store.calls(1), *store.calls(2))] == [1, 2, 2]
    store.commit({"outcomes": outcome(2)})
    assert store.read("SELECT * FROM call_pages UNION ALL SELECT n, 0, 0 FROM open_call_pages") == []
    store.close()


def test_the_file_grows_with_what_is_kept(tmp_path: Path) -> None:
    """A thousand tickets with two calls of 2 KB each, made in two commits, of which every tenth is accepted."""
    sizes = {}
    for retain in ("all", "accepted"):
        store = Store(tmp_path / f"{retain}.db", retain=retain)
        for first in range(0, 1000, 50):
            tickets = range(first, first + 50)
            calls = [(*call(ticket)[:6], b'"%s"' % (b"x" * 2000), 1, 1, 1, None) for ticket in tickets]
            store.commit({"calls": calls})
            accepted = [record(ticket // 10 + 1, ticket, b"x" * 1000) for ticket in tickets if ticket % 10 == 0]
            store.commit({"calls": calls, "outcomes": outcome(*tickets), "records": accepted})
        store.close()
        sizes[retain] = sum(file.stat().st_size for file in tmp_path.glob(f"{retain}.*"))
    assert sizes["all"] > 4_000_000
    assert sizes["accepted"] < 600_000  # 100 KB of records, and the calls of the tickets that were open at once


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
    assert store.progress().tickets == {"accepted": 3, "surplus": 0}


def test_surplus_of_an_open_ticket_becomes_what_it_has_accepted(store: Store) -> None:
    store.commit({"surplus": [(0, "0.0", b"{}"), (0, "0.1", b"{}"), (1, "1.1", b"{}")], "records": [record(1, 1)]})
    store.commit({"outcomes": outcome(1)})
    assert store.use_surplus(1) == 1
    assert store.progress().open == {0: Traces([], ["0.0"], ["0.1"])}
    assert store.progress().tickets == {"accepted": 1, "surplus": 0}
    assert store.use_surplus(None) == 2
    assert store.progress().open == {0: Traces([], ["0.0", "0.1"], [])}
    assert store.progress().tickets["accepted"] == 1


def test_a_dead_letter_that_comes_again_is_kept_once(store: Store) -> None:
    letter = (3, "stage", "3.1", b"{}", "first", "")
    store.commit({"letters": [letter]})
    store.commit({"letters": [(*letter[:4], "again", "")]})
    assert store.read("SELECT record, error FROM letters") == [("3.1", "again")]


def test_a_path_with_special_characters_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "50% off? #1 & more" / "run.db"
    path.parent.mkdir()
    Store(path).close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["run.db", "run.pages"]
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


def test_a_file_of_an_older_format_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    Store(path).close()
    older = sqlite3.connect(path)
    older.execute("PRAGMA user_version = 1")
    older.close()
    before = path.read_bytes()
    with pytest.raises(
        JournalError, match=r"an older streamgen \(format 1, this one knows 3\); go on with the version"
    ):
        Store(path)
    assert path.read_bytes() == before


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db")
    store.read("PRAGMA max_page_count = 40")
    with pytest.raises(JournalError, match="no space is left for the journal"):
        store.commit({"records": [record(1, 1)], "surplus": [(1, "1", b"x" * 1_000_000)]})
    assert (store.last_seq, store.records(0, 9)) == (0, [])
    store.close()


def test_a_disk_that_fills_up_amid_the_pages_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "run.db")
    store.commit({"records": [record(1, 1, b"one")]})

    class Full(FileIO):
        def write(self, data: Any, /) -> int:
            raise OSError(ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, Full(tmp_path / "run.pages", "rb+") as file:
        file.seek(0, os.SEEK_END)
        patch.setattr(store._log, "_file", file)
        patch.setattr("streamgen.journal.log._write", lambda file, parts: os.write(file, parts[0][:7]))
        with pytest.raises(JournalError, match="no space is left for the journal"):
            store.commit({"records": [record(2, 2, b"x" * 100)]})
    assert (store.last_seq, (tmp_path / "run.pages").stat().st_size) == (1, 10)
    store.commit({"records": [record(2, 2, b"two")]})
    assert store.records(0, 9) == [(1, b"one"), (2, b"two")]
    store.close()
    Store(tmp_path / "run.db").close()
    assert (tmp_path / "run.pages").stat().st_size == 6


def test_a_run_where_nothing_can_be_written_is_read_without_a_file_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "run.db")
    store.commit({"records": [record(1, 1, b"one")]})
    store.close()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    reader = Store(tmp_path / "run.db", read_only=True)
    assert [stored.body for stored in reader.records(0, 10)] == [b"one"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.db", "run.pages"]
    reader.close()


def test_a_run_that_somebody_writes_is_never_taken_for_a_still_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    store = Store(tmp_path / "run.db")
    store.commit({"records": [record(1, 1)]})
    reader = Store(tmp_path / "run.db", read_only=True)
    store.commit({"records": [record(2, 2)]})
    assert (reader.last_seq, reader.progress().following) == (2, 3)
    reader.close()
    store.close()
