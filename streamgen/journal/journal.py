"""The journal: rows are appended at once and committed in groups; whoever needs durability waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import Protocol, TypeVar, TypeVarTuple

import anyio
from anyio.to_thread import run_sync

from streamgen.errors import FatalError, JournalError
from streamgen.journal.pages import Stored
from streamgen.journal.progress import Cell
from streamgen.journal.store import Store
from streamgen.journal.writer import Queue, Signal, Taken, write_in_thread, write_inline

COMMIT_INTERVAL_S = 0.02  # group commit: a sync of the disk costs milliseconds, so many rows share one
_ROOM = 2000  # rows that may wait for a commit: some 2 MB, and ten commits' worth at 2,500 records a second
_RECENT_BYTES = 2 << 20

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Offload(Protocol):
    """Runs work that waits for the disk."""

    async def __call__(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """The work's result."""
        ...


async def in_thread(work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run the work on a worker thread, so that the loop goes on meanwhile."""
    return await run_sync(work, *args)


async def inline(work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run the work here and now: for a temporary journal, which waits for no disk."""
    return work(*args)


class Journal:
    """Appends rows to the run's store. What is appended in order is durable in that order.

    Invariant: rows move from `_queue` to the store in one transaction; `_committed` counts those that are there.
    """

    def __init__(self, store: Store, *, interval_s: float = COMMIT_INTERVAL_S) -> None:
        self.store = store
        self.offload: Offload = in_thread if store.path else inline
        self.completed = anyio.Event()  # set once the last record has been accepted
        self.is_broken = False  # whether nothing more can be written
        self.last_seq = store.last_seq  # of the last accepted record, committed or not
        self.committed_seq = self.last_seq
        self._interval_s = interval_s
        self._queue = Queue(Event() if store.path else Signal())
        self._appended = self._committed = 0
        self._commit_done = anyio.Event()
        self._reader = None if store.path else store  # opened when a reader lags behind
        self._one_reader = anyio.Lock()
        self._recent: list[Stored] = []  # committed last, in order: readers who keep up need no database
        self._recent_bytes = 0

    def __repr__(self) -> str:
        return f"<Journal {self.store!r} {self.last_seq} accepted, {self._appended - self._committed} rows pending>"

    @property
    def accepted(self) -> int:
        """How many records were accepted; once nothing can be written any more, how many of them are stored."""
        return self.committed_seq if self.is_broken else self.last_seq

    def append(self, table: str, *cells: Cell) -> None:
        """One more row of a table."""
        self._queue.append(table, cells)
        self._appended += 1

    def accept(self, ticket: int, record_id: str, body: bytes) -> int:
        """One more accepted record; its place in the order of acceptance."""
        self.last_seq += 1
        self.append("records", self.last_seq, ticket, record_id, body)
        return self.last_seq

    async def room(self) -> None:
        """Return when few enough rows wait: what holds back whoever is faster than the disk."""
        while self._appended - self._committed > _ROOM and not self.is_broken:
            await self._commit_done.wait()

    async def accepted_beyond(self, seq: int) -> bool:
        """Wait until a record behind the `seq`-th is committed; False when none will come any more."""
        while self.committed_seq <= seq:
            if self.is_broken or (self.completed.is_set() and self.committed_seq == self.last_seq):
                return False
            await self._commit_done.wait()
        return True

    async def read(self, after: int, limit: int) -> list[Stored]:
        """Committed records behind the `after`-th, at most `limit`."""
        recent = self._recent
        if recent and (start := after + 1 - recent[0].seq) >= 0:
            return recent[start : start + limit]
        async with self._one_reader:
            return await self.offload(self._stored, after, min(limit, self.committed_seq - after))

    def complete(self) -> None:
        """The last record has been accepted: readers that are through get their end."""
        self.completed.set()
        self._announce()

    async def run(self) -> None:
        """The writer: commits what was appended, at most once an interval, until `close`. Raises FatalError."""
        write = write_in_thread if self.store.path else write_inline
        try:
            await write(self._queue, self.store, self._interval_s, self._on_commit)
        except BaseException as error:  # whatever it is: readers that wait for its rows must hear of it
            self.is_broken = True
            if isinstance(error, JournalError):
                raise JournalFailed(str(error)) from error
            raise
        finally:
            self._announce()

    def close(self) -> None:
        """Nothing more will be appended: `run` commits the rest and returns."""
        self._queue.close()

    def dispose(self) -> None:
        """Let go of the database."""
        if self._reader:
            self._reader.close()
        self.store.close()

    def _stored(self, after: int, limit: int) -> list[Stored]:
        self._reader = self._reader or Store(self.store.path, read_only=True)
        return self._reader.records(after, limit)

    def _on_commit(self, rows: Taken) -> None:
        self._committed += sum(map(len, rows.values()))
        if records := rows.get("records"):
            self.committed_seq += len(records)
            self._keep([Stored(seq, body) for seq, _, _, body in records])  # type: ignore[arg-type]
        self._announce()

    def _keep(self, records: Sequence[Stored]) -> None:
        self._recent += records
        self._recent_bytes += sum([len(record.body) for record in records])
        while self._recent_bytes > _RECENT_BYTES:
            oldest = self._recent[: len(self._recent) // 2 + 1]
            del self._recent[: len(oldest)]
            self._recent_bytes -= sum([len(record.body) for record in oldest])

    def _announce(self) -> None:
        self._commit_done.set()
        self._commit_done = anyio.Event()


class JournalFailed(JournalError, FatalError):
    """The journal cannot be written any more; the run stops, and what was committed is safe."""
