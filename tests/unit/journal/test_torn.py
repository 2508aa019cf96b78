"""What a crash of the machine may leave: a write-ahead log that ends anywhere, or with what was never written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from streamgen.errors import JournalError
from streamgen.journal.progress import Row
from streamgen.journal.sinks import JsonlSettings, JsonlSink
from streamgen.journal.store import Store
from streamgen.record import Meta, Record, encode

_A_COMMIT = 3  # tickets


class Written(NamedTuple):
    """A run's files as they were while it ran, and how long its log was after each commit."""

    directory: Path
    log: bytes
    ends: list[int]

    def with_log(self, log: bytes, place: Path) -> Store:
        for name in ("run.db", "run.pages"):
            shutil.copyfile(self.directory / name, place / name)
        (place / "run.db-shm").unlink(missing_ok=True)
        (place / "run.db-wal").write_bytes(log)
        return Store(place / "run.db")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    directory = tmp_path_factory.mktemp("written")
    store = Store(directory / "run.db")
    log = directory / "run.db-wal"
    ends = [0]  # the tables were made before there was a log
    for first in range(0, 6 * _A_COMMIT, _A_COMMIT):
        store.commit(commit(range(first, first + _A_COMMIT)))
        ends.append(log.stat().st_size)
    shutil.copytree(directory, directory / "copy")
    yield Written(directory / "copy", log.read_bytes(), ends)
    store.close()


def commit(tickets: range) -> dict[str, list[Row]]:
    """Each ticket has a call and a record, and settles the one before it; sinks are told as far as they are."""
    return {
        "calls": [(n, "a", str(n), 0, "main", b"{}", b'{"text":"%d"}' % n, 1, 1, 1, 0.5) for n in tickets],
        "records": [(n + 1, n, str(n), encode(Record(str(n), {"x": n}, Meta(ticket=n)))) for n in tickets],
        "outcomes": [(n - 1, "accepted", None, None) for n in tickets if n],
        "memories": [("once", str(n), b"%d" % n) for n in tickets],
        "sinks": [("out.jsonl", tickets.start, tickets.start)],
    }


def commits_in(store: Store) -> int:
    """How many commits there are; whatever tells of them tells the same."""
    progress = store.progress()
    commits, rest = divmod(progress.following, _A_COMMIT)
    tickets = commits * _A_COMMIT
    assert rest == 0
    assert [stored.seq for page in store.pages() for stored in page] == list(range(1, tickets + 1))
    assert progress.tickets.get("accepted", 0) == max(0, tickets - 1)
    assert list(progress.open) == ([tickets - 1] if tickets else [])
    assert store.read("SELECT ticket FROM calls") == [(n,) for n in range(tickets)]
    assert [id_ for page in store.memories("once") for id_, _ in page] == [str(n) for n in range(tickets)]
    assert sum(spent.requests for stages in progress.spent.values() for spent in stages.values()) == tickets
    assert store.read("SELECT seq FROM sinks") == [(tickets - _A_COMMIT,)] * bool(tickets)
    return commits


def cuts(written: Written) -> list[int]:
    """Around every commit's end, and anywhere."""
    random = Random(5)
    near = [end + shift for end in written.ends for shift in (-1, 0, 1)]
    anywhere = random.sample(range(len(written.log)), 60)
    return sorted({cut for cut in (*near, *anywhere) if 0 <= cut <= len(written.log)})


def test_a_log_that_was_cut_anywhere_holds_every_commit_that_is_whole(written: Written, tmp_path: Path) -> None:
    for cut in cuts(written):
        store = written.with_log(written.log[:cut], tmp_path)
        assert commits_in(store) == sum(end <= cut for end in written.ends[1:])
        store.close()


def test_a_log_whose_last_writes_were_lost_in_part_holds_whole_commits_only(written: Written, tmp_path: Path) -> None:
    random = Random(6)
    for _ in range(60):
        start = random.randrange(len(written.log))
        lost = slice(start, start + random.choice((1, 512, 4096, 20_000)))
        log = bytearray(written.log)
        log[lost] = bytes(len(log[lost]))
        store = written.with_log(bytes(log), tmp_path)
        untouched = sum(end <= start for end in written.ends[1:])
        assert untouched <= commits_in(store) <= 6
        store.close()


def test_after_a_torn_write_the_run_goes_on(written: Written, tmp_path: Path) -> None:
    store = written.with_log(written.log[: written.ends[4] - 100], tmp_path)
    done = commits_in(store)
    for first in range(done * _A_COMMIT, 6 * _A_COMMIT, _A_COMMIT):
        store.commit(commit(range(first, first + _A_COMMIT)))
    assert (done, commits_in(store)) == (3, 6)
    store.close()


def test_a_damaged_page_is_told_as_such(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db")
    store.commit(commit(range(3)))
    store.read("UPDATE progress SET body = x'7b7b'")
    (tmp_path / "run.pages").write_bytes(b"{" * (tmp_path / "run.pages").stat().st_size)
    damaged = "run.db is damaged .*; restore it or start elsewhere"
    with pytest.raises(JournalError, match=damaged), closing(Store(tmp_path / "run.db", read_only=True)) as reader:
        reader.progress()
    with pytest.raises(JournalError, match=damaged):
        store.calls(1)
    with pytest.raises(JournalError, match=damaged):
        list(store.memories("once"))
    store.close()


def test_pages_without_an_end_are_told_as_damaged(written: Written, tmp_path: Path) -> None:
    written.with_log(written.log, tmp_path).close()
    pages = tmp_path / "run.pages"
    with pages.open("rb+") as file:
        file.truncate(pages.stat().st_size - 1)
    with pytest.raises(JournalError, match=r"run\.pages is damaged \(it has \d+ of \d+ bytes\); restore it"):
        Store(tmp_path / "run.db")
    with closing(Store(tmp_path / "run.db", read_only=True)) as reader:
        assert [len(page) for page in (*reader.pages(), *reader.memories("once"))] == [3] * 12
        with pytest.raises(JournalError, match=r"run\.pages is damaged \(it ends before byte \d+\); restore it"):
            reader.calls(6)


def test_pages_that_no_commit_tells_of_are_cut_off(written: Written, tmp_path: Path) -> None:
    store = written.with_log(written.log[: written.ends[3]], tmp_path)
    assert commits_in(store) == 3
    (end,) = store.one("SELECT log_bytes FROM progress")
    assert (tmp_path / "run.pages").stat().st_size == end
    assert (written.directory / "run.pages").stat().st_size > int(end or 0)
    store.close()


def test_a_sink_that_was_cut_at_any_byte_of_its_last_write_gets_the_rest_from_the_journal(tmp_path: Path) -> None:
    store = Store(tmp_path / "run.db")
    store.commit(commit(range(3)))
    store.commit(commit(range(3, 6)))
    for suffix in ("", ".gz", ".zst"):
        settings = JsonlSettings(path=f"out.jsonl{suffix}")
        file = tmp_path / settings.path
        ends = []
        sink = JsonlSink(settings)
        sink.open(tmp_path, 0)
        for page in store.pages():
            sink.write(page)
            ends.append(sink.sync(is_last=True))
        sink.close()
        whole = file.read_bytes()
        for cut in range(ends[0] or 0, len(whole) + 1):
            file.write_bytes(whole[:cut])
            again = JsonlSink(settings)
            assert again.open(tmp_path, ends[0] or 0)
            again.write(store.records(3, 10))
            assert again.sync(is_last=True) == len(whole)
            again.close()
            assert file.read_bytes() == whole
    store.close()
