from __future__ import annotations

from pathlib import Path
from threading import Event

import anyio
import anyio.lowlevel
import pytest

from streamgen.journal.journal import COMMIT_INTERVAL_S, Journal, JournalFailed
from streamgen.journal.progress import Cell, Rows
from streamgen.journal.projection import Projection
from streamgen.journal.sinks import ListSettings, ListSink
from streamgen.journal.store import Store
from streamgen.record import Record, encode
from streamgen.virtual_time import run_virtual


class Slow(Store):
    """Counts its commits."""

    def __init__(self) -> None:
        super().__init__(None)
        self.commits: list[int] = []

    def commit(self, rows: Rows) -> None:
        self.commits.append(sum(map(len, rows.values())))
        super().commit(rows)


def row(n: int) -> tuple[Cell, ...]:
    return ("outcomes", n, "accepted", None, None)


def test_what_arrives_within_an_interval_is_one_commit() -> None:
    store = Slow()

    async def main() -> None:
        journal = Journal(store)
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            for n in range(100):
                journal.append("outcomes", n, "accepted", None, None)
                if n in (39, 40):
                    await anyio.sleep(2 * COMMIT_INTERVAL_S)
            journal.close()
        journal.dispose()

    run_virtual(main)
    assert store.commits == [40, 1, 59]


def test_closing_commits_what_is_left_without_waiting_for_the_interval() -> None:
    async def main() -> float:
        journal = Journal(Store(None), interval_s=1000.0)
        started = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            await anyio.lowlevel.checkpoint()
            journal.accept(0, "0", b"{}")
            journal.close()
        assert (journal.committed_seq, journal.store.last_seq) == (1, 1)
        journal.dispose()
        return anyio.current_time() - started

    assert run_virtual(main) == 0.0


def test_readers_get_records_as_they_are_committed_and_an_end() -> None:
    seen: list[int] = []

    async def read(journal: Journal) -> None:
        while await journal.accepted_beyond(len(seen)):
            seen.extend(stored.seq for stored in await journal.read(len(seen), 2))

    async def main() -> None:
        journal = Journal(Store(None))
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            group.start_soon(read, journal)
            for n in range(5):
                journal.accept(n, str(n), b"{}")
            await anyio.sleep(1)
            assert seen == [1, 2, 3, 4, 5]
            journal.accept(5, "5", b"{}")
            journal.complete()
            journal.close()
        journal.dispose()

    run_virtual(main)
    assert seen == [1, 2, 3, 4, 5, 6]


def test_whoever_is_faster_than_the_disk_waits() -> None:
    async def main() -> None:
        journal = Journal(Store(None))
        for n in range(20_001):
            journal.append(*row(n))  # type: ignore[arg-type]
        with anyio.move_on_after(1000) as scope:
            await journal.room()
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            await journal.room()
            journal.close()
        journal.dispose()

    run_virtual(main)


@pytest.mark.parametrize("bad", [("outcomes", object(), "x", None, None), ("records", "no seq")])
def test_a_row_that_cannot_be_written_ends_everybodys_wait(bad: tuple[object, ...]) -> None:
    """Whatever the error is: nobody may hang on a journal that is broken."""

    async def main() -> None:
        journal = Journal(Store(None))
        projection = Projection("list", ListSink(ListSettings()), journal)
        projection.open(Path())
        with pytest.raises(BaseExceptionGroup):
            async with anyio.create_task_group() as group:
                group.start_soon(journal.run)
                with anyio.CancelScope(shield=True):
                    journal.accept(0, "0", b"{}")
                    journal.append(*bad)  # type: ignore[arg-type]
                    await projection.run()
                    assert not await journal.accepted_beyond(0)
        assert journal.is_broken
        journal.dispose()

    run_virtual(main)


def test_a_full_disk_is_a_fatal_error(tmp_path: Path) -> None:
    async def main() -> None:
        journal = Journal(Store(tmp_path / "run.db"))
        journal.store.read("PRAGMA max_page_count = 20")
        journal.append("facts", "key", b"x" * 1_000_000)
        with pytest.raises(JournalFailed, match="no space is left"):
            await journal.run()
        journal.dispose()

    anyio.run(main)


def test_a_sink_gets_every_record_once_in_order_and_its_place_is_stored() -> None:
    into: list[Record] = []

    async def main() -> None:
        journal = Journal(Store(None))
        projection = Projection("list", ListSink(ListSettings(into=into)), journal)
        projection.open(Path())
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            async with anyio.create_task_group() as sinks:
                sinks.start_soon(projection.run)
                for n in range(1200):
                    journal.accept(n, str(n), encode(Record(str(n))))
                    if n % 100 == 0:
                        await anyio.sleep(0.1)
                journal.complete()
            journal.close()
        assert journal.store.read("SELECT * FROM sinks") == [("list", 1200, 0)]
        journal.dispose()

    run_virtual(main)
    assert [record.id for record in into] == [str(n) for n in range(1200)]


class Jammed(Store):
    """A commit waits until the test lets it go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.sizes: list[int] = []
        self.begun, self.free = Event(), Event()

    def commit(self, rows: Rows) -> None:
        self.sizes.append(sum(map(len, rows.values())))
        self.begun.set()
        self.free.wait()
        super().commit(rows)


async def test_a_loop_that_is_busy_does_not_hold_the_writer_back(tmp_path: Path) -> None:
    store = Jammed(tmp_path / "run.db")
    store.free.set()
    journal = Journal(store)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        await anyio.lowlevel.checkpoint()
        journal.accept(0, "0", b"{}")
        assert store.begun.wait(60)  # this blocks the loop
        journal.close()
    assert (store.sizes, store.last_seq, journal.committed_seq) == ([1], 1, 1)
    journal.dispose()


async def test_what_comes_during_a_commit_is_the_next_one(tmp_path: Path) -> None:
    store = Jammed(tmp_path / "run.db")
    journal = Journal(store)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        await anyio.lowlevel.checkpoint()
        journal.accept(0, "0", b"{}")
        assert store.begun.wait(60)
        for n in range(1, 6):
            journal.accept(n, str(n), b"{}")
        journal.close()
        assert journal.committed_seq == 0
        store.free.set()
    assert (store.sizes, store.last_seq, journal.committed_seq) == ([1, 5], 6, 6)
    journal.dispose()


async def test_a_writer_that_is_cancelled_commits_what_was_appended(tmp_path: Path) -> None:
    journal = Journal(Store(tmp_path / "run.db"), interval_s=1000.0)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        await anyio.lowlevel.checkpoint()
        journal.accept(0, "0", b"{}")
        group.cancel_scope.cancel()
    assert journal.store.last_seq == 1
    journal.dispose()
