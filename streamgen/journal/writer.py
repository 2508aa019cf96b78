"""The journal's writer: a thread that commits what waits, so that a busy event loop does not hold it back."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import TypeAlias

import anyio

from streamgen.journal.progress import Row
from streamgen.journal.store import Store

Taken: TypeAlias = Mapping[str, list[Row]]


class Signal:
    """An event of the loop that can be cleared, as a thread's can."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def is_set(self) -> bool:
        """Whether `wait` returns at once."""
        return self._event.is_set()

    def set(self) -> None:
        """Wake whoever waits."""
        self._event.set()

    def clear(self) -> None:
        """Let whoever comes wait."""
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Return once it is set."""
        await self._event.wait()


class Queue:
    """Rows on their way to the store, in order. The event loop appends, one writer takes.

    Invariant: while rows wait, `something` is set, or the writer is about to take them.
    """

    def __init__(self, something: Event | Signal) -> None:
        self.something = something
        self.closed = Event()
        self.since = 0.0  # when the oldest row that waits was appended
        self._rows: deque[tuple[str, Row]] = deque()

    @property
    def is_done(self) -> bool:
        """Whether nothing waits, and nothing will."""
        return self.closed.is_set() and not self._rows

    def append(self, table: str, row: Row) -> None:
        """One more row."""
        self._rows.append((table, row))
        if not self.something.is_set():
            self.since = time.monotonic()
            self.something.set()

    def take(self) -> Taken:
        """All rows that wait, by table."""
        self.something.clear()  # before looking: what is appended from now on sets it again
        rows: defaultdict[str, list[Row]] = defaultdict(list)
        for _ in range(len(self._rows)):
            table, row = self._rows.popleft()
            rows[table].append(row)
        return rows

    def close(self) -> None:
        """Nothing more will be appended."""
        self.closed.set()
        self.something.set()


async def write_in_thread(queue: Queue, store: Store, interval_s: float, on_commit: Callable[[Taken], None]) -> None:
    """Commit until the queue is closed and empty; `on_commit` hears, on the loop, of the rows that are stored.

    A commit begins an interval after its first row was appended, or when the one before it has ended.
    """
    loop = asyncio.get_running_loop()
    ended = anyio.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not queue.is_done:
                queue.something.wait()
                queue.closed.wait(max(0.0, queue.since + interval_s - time.monotonic()))
                if rows := queue.take():
                    store.commit(rows)
                    loop.call_soon_threadsafe(on_commit, rows)
        except BaseException as error:
            errors.append(error)
        loop.call_soon_threadsafe(ended.set)

    Thread(target=work, name="streamgen journal", daemon=True).start()
    try:
        await ended.wait()
    finally:
        queue.close()
        with anyio.CancelScope(shield=True):
            await ended.wait()
    for error in errors:
        raise error


async def write_inline(queue: Queue, store: Store, interval_s: float, on_commit: Callable[[Taken], None]) -> None:
    """The same on the loop and by its clock: for a temporary store, which waits for no disk."""
    assert isinstance(queue.something, Signal)
    while not queue.is_done:
        await queue.something.wait()
        if not queue.closed.is_set():
            await anyio.sleep(interval_s)
        if rows := queue.take():
            store.commit(rows)
            on_commit(rows)
