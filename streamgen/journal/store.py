"""A run's journal on disk, as plain synchronous methods: open, commit a batch of rows, read.

What changes or goes is in an SQLite database; what is written once and stays is in the append-only log beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import msgspec

from streamgen.errors import JournalError
from streamgen.journal.database import connect, explained
from streamgen.journal.log import Log
from streamgen.journal.pages import (
    RecordPage,
    Stored,
    StoredCall,
    call_page,
    calls_of,
    memories_of,
    memory_pages,
    outcome_page,
    record_pages,
)
from streamgen.journal.progress import Cell, Ended, Progress, Retain, Row, Rows
from streamgen.journal.schema import INSERTS

Change: TypeAlias = tuple[str, Sequence[Row]]  # a statement, and what it is executed with

FILE_NAME = "run.db"
LOG_SUFFIX = ".pages"


class Store:
    """One run's journal. `path` None keeps it in private temporary files that vanish with the process.

    Use it from one thread at a time.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False, retain: Retain = "all") -> None:
        self.path = path
        self._retain = retain
        self._progress: Progress | None = None  # as committed; the writer's own, so that it need not read it again
        with explained(path):
            self._db = connect(path, read_only=read_only)
            try:
                self._log = self._open_log(read_only)
            except BaseException:
                self._db.close()
                raise
        self._db.create_function("page", 2, self._log.read)

    def __repr__(self) -> str:
        return f"<Store {self.path or 'temporary'}>"

    def commit(self, rows: Rows) -> None:
        """Write all rows in one transaction: after it they are on disk, and before it none of them is.

        What is counted and which tickets are open changes with them. Raises JournalError.
        """
        progress, self._progress = self._progress or self.progress(), None
        with self._all_or_nothing():
            ended = progress.take(rows)
            changes = [(INSERTS[table], values) for table, values in rows.items() if table in INSERTS]
            changes += self._rare_changes(rows, ended, progress.call_page)
            calls = rows.get("calls", ()) if self._retain == "all" else ()
            self._change(progress, changes, rows.get("records", ()), rows.get("outcomes", ()), calls)
        self._progress = progress

    def progress(self) -> Progress:
        """How far the run is, as of the last commit."""
        found = self.read("SELECT body FROM progress")
        with explained(self.path):
            return msgspec.json.decode(_bytes(found[0][0]), type=Progress) if found else Progress()

    def read(self, query: str, *parameters: Cell) -> list[tuple[Cell, ...]]:
        """All rows of a query."""
        with explained(self.path):
            return self._db.execute(query, parameters).fetchall()

    def rows(self, query: str, *parameters: Cell) -> Iterator[tuple[Cell, ...]]:
        """The rows of a query one by one, for those that may be too many to hold at once."""
        with explained(self.path):
            yield from self._db.execute(query, parameters)

    def one(self, query: str, *parameters: Cell) -> tuple[Cell, ...]:
        """The first row of a query that always has one."""
        return self.read(query, *parameters)[0]

    def fact(self, key: str) -> bytes | None:
        """A stored fact, None where there is none."""
        found = self.read("SELECT value FROM facts WHERE key = ?", key)
        return _bytes(found[0][0]) if found else None

    def records(self, after: int, limit: int) -> list[Stored]:
        """Accepted records behind the `after`-th, in order of acceptance."""
        found: list[Stored] = []
        for page in self.pages(after):
            found += page
            if len(found) >= limit:
                break
        return found[: max(0, limit)]

    def pages(self, after: int = 0) -> Iterator[list[Stored]]:
        """All accepted records behind the `after`-th, a page at a time."""
        with explained(self.path):
            while row := self._db.execute(_NEXT_PAGE, (after,)).fetchone():
                last, size, *place = row
                page = RecordPage(last, size, self._log.read(*place))
                yield page.records(after)
                after = page.last

    @property
    def last_seq(self) -> int:
        """How many records were accepted so far."""
        (last,) = self.one("SELECT coalesce(max(last), 0) FROM record_pages")
        return _int(last)

    def calls(self, page: int) -> list[StoredCall]:
        """The calls of a page; none where it was not retained."""
        with explained(self.path):
            if place := self.read("SELECT at, size FROM call_pages WHERE n = ?", page):
                return calls_of(self._log.read(*map(_int, place[0])))
            found = self.read("SELECT body FROM open_call_pages WHERE n = ?", page)
            return calls_of(_bytes(found[0][0])) if found else []

    def memories(self, stage: str) -> Iterator[list[tuple[str, bytes]]]:
        """Ids of records that passed a stage with what it kept of them, a page at a time, in that order."""
        for place in self.rows("SELECT at, size FROM memory_pages WHERE stage = ? ORDER BY n", stage):
            with explained(self.path):
                memories = memories_of(self._log.read(*map(_int, place)))
            yield memories

    def use_surplus(self, wanted: int | None) -> int:
        """Turn up to `wanted` surplus records (None: all) into accepted ones, the oldest first; how many there were."""
        query = "SELECT n, ticket, id, body FROM surplus ORDER BY n LIMIT ?"
        rows = self.read(query, -1 if wanted is None else wanted)
        if rows:
            self._accept(rows)
        return len(rows)

    def _accept(self, surplus: Sequence[Row]) -> None:
        used = [(_int(ticket), str(id_)) for _, ticket, id_, _ in surplus]
        progress, self._progress = self._progress or self.progress(), None
        with self._all_or_nothing():
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM surplus WHERE n = ?", [row[:1] for row in surplus])
            turned = self._db.executemany("DELETE FROM only_surplus WHERE ticket = ?", {used_[:1] for used_ in used})
            progress.use_surplus(used, turned.rowcount)
            self._change(progress, (), [(seq, *row[1:]) for seq, row in enumerate(surplus, progress.last_seq + 1)])
        self._progress = progress

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()
        self._log.close()

    def _open_log(self, read_only: bool) -> Log:
        log = Log(self.path.with_suffix(LOG_SUFFIX) if self.path else None, read_only=read_only)
        if not read_only:
            found = self._db.execute("SELECT log_bytes FROM progress").fetchone()
            log.cut(found[0] if found else 0)
        return log

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """A transaction, in the log too."""
        with explained(self.path), self._db:
            try:
                yield
            except BaseException:
                self._log.revert()
                raise

    def _change(
        self,
        progress: Progress,
        changes: Sequence[Change],
        records: Sequence[Row] = (),
        outcomes: Sequence[Row] = (),
        calls: Sequence[Row] = (),
    ) -> None:
        """The pages and all that changes with them.

        Most commits bring pages only, and are one statement: after each one, and after each write, this thread waits
        for the interpreter's lock, up to 5 ms while the event loop is busy.
        """
        place = self._log.append
        *more, last_page = [*self._record_places(records, progress)] or [_NO_RECORDS]
        outcomes_at = place(outcome_page(outcomes)) if outcomes else _NOWHERE
        calls_at = place(call_page(calls)) if calls else _NOWHERE
        noted = (self._log.end, msgspec.json.encode(progress))
        self._log.write()  # first: whatever the database tells of is there
        if more or changes:
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            for statement, rows in (*changes, (_ADD_RECORDS, more)):
                self._db.executemany(statement, rows)
        row = (*last_page, *outcomes_at, progress.call_page, *calls_at, *noted)
        self._db.executemany(_ADD_PAGES, (row,))  # `execute` would ask for the row's number, and wait once more

    def _rare_changes(self, rows: Rows, ended: Ended, page: int) -> Iterator[Change]:
        if only_surplus := [row[:1] for row in rows.get("outcomes", ()) if row[1] == "surplus"]:
            yield "INSERT INTO only_surplus VALUES (?)", only_surplus
        for stage, memories in memory_pages(rows.get("memories", ())):
            yield "INSERT INTO memory_pages VALUES (NULL, ?, ?, ?)", [(stage, *self._log.append(memories))]
        if self._retain == "accepted":
            if open_calls := [call for call in rows.get("calls", ()) if call[0] not in ended.tickets]:
                yield "INSERT INTO open_call_pages VALUES (?, ?)", [(page, call_page(open_calls))]
            if ended.pages:
                yield "DELETE FROM open_call_pages WHERE n = ?", [(freed,) for freed in ended.pages]

    def _record_places(self, records: Sequence[Row], progress: Progress) -> Iterator[Row]:
        if records and (first := _int(records[0][0])) != progress.last_seq + 1:
            raise JournalError(
                f"record {first} was to be stored behind record {progress.last_seq}: a mistake of streamgen"
            )
        for last, count, lines in record_pages(records):
            progress.last_seq = last
            yield last, count, *self._log.append(lines)


_ADD_PAGES = "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_RECORDS = "INSERT INTO record_pages VALUES (?, ?, ?, ?)"
_NO_RECORDS: Row = (None, None, None, None)
_NOWHERE: Row = (None, None)
_NEXT_PAGE = "SELECT last, count, at, size FROM record_pages WHERE last > ? ORDER BY last LIMIT 1"


def _bytes(cell: Cell) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode()


def _int(cell: Cell) -> int:
    return int(cell or 0)
