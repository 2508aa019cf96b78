"""The SQLite file of a run, as plain synchronous methods: open, commit a batch of rows, read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from streamgen.errors import JournalError
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
from streamgen.journal.schema import APPLICATION_ID, INSERTS, LOG_BYTES, PAGE_BYTES, SCHEMA, VERSION

FILE_NAME = "run.db"

_CACHE_KB = 512  # of the database in memory: what is appended is not read again


class Store:
    """One run's database. `path` None keeps it in a private temporary file that vanishes with the process.

    Use it from one thread at a time.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False, retain: Retain = "all") -> None:
        self.path = path
        self._retain = retain
        self._progress: Progress | None = None  # as committed; the writer's own, so that it need not read it again
        with _explained(path):
            self._db = _connect(path, read_only)
            try:
                self._prepare(read_only)
            except BaseException:
                self._db.close()
                raise

    def __repr__(self) -> str:
        return f"<Store {self.path or 'temporary'}>"

    def commit(self, rows: Rows) -> None:
        """Write all rows in one transaction: after it they are on disk, and before it none of them is.

        What is counted and which tickets are open changes with them. Raises JournalError.
        """
        progress, self._progress = self._progress or self.progress(), None
        with self._transaction():
            ended = progress.take(rows)
            for table, values in rows.items():
                if table in INSERTS:
                    self._db.executemany(INSERTS[table], values)
            self._add_pages(rows, ended, progress.call_page)
            self._note(progress)
        self._progress = progress

    def progress(self) -> Progress:
        """How far the run is, as of the last commit."""
        found = self.read("SELECT body FROM progress")
        with _explained(self.path):
            return msgspec.json.decode(_bytes(found[0][0]), type=Progress) if found else Progress()

    def read(self, query: str, *parameters: Cell) -> list[tuple[Cell, ...]]:
        """All rows of a query."""
        with _explained(self.path):
            return self._db.execute(query, parameters).fetchall()

    def rows(self, query: str, *parameters: Cell) -> Iterator[tuple[Cell, ...]]:
        """The rows of a query one by one, for those that may be too many to hold at once."""
        with _explained(self.path):
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
        with _explained(self.path):
            while row := self._db.execute(_NEXT_PAGE, (after,)).fetchone():
                page = RecordPage(*row)
                yield page.records(after)
                after = page.last

    @property
    def last_seq(self) -> int:
        """How many records were accepted so far."""
        (last,) = self.one("SELECT coalesce(max(last), 0) FROM record_pages")
        return int(last or 0)

    def calls(self, page: int) -> list[StoredCall]:
        """The calls of a page; none where it was not retained."""
        found = self.read("SELECT body FROM call_pages WHERE n = ?", page)
        with _explained(self.path):
            return calls_of(_bytes(found[0][0])) if found else []

    def memories(self, stage: str) -> Iterator[list[tuple[str, bytes]]]:
        """Ids of records that passed a stage with what it kept of them, a page at a time, in that order."""
        for (body,) in self.rows("SELECT body FROM memory_pages WHERE stage = ? ORDER BY n", stage):
            with _explained(self.path):
                memories = memories_of(_bytes(body))
            yield memories

    def use_surplus(self, wanted: int | None) -> int:
        """Turn up to `wanted` surplus records (None: all) into accepted ones, the oldest first; how many there were."""
        query = "SELECT n, ticket, id, body FROM surplus ORDER BY n LIMIT ?"
        rows = self.read(query, -1 if wanted is None else wanted)
        if rows:
            self._accept(rows)
        return len(rows)

    def _accept(self, surplus: Sequence[Row]) -> None:
        numbered = [(seq, *row[1:]) for seq, row in enumerate(surplus, self.last_seq + 1)]
        used = [(_int(ticket), str(id_)) for _, ticket, id_, _ in surplus]
        progress, self._progress = self._progress or self.progress(), None
        with self._transaction():
            self._add_records(numbered)
            self._db.executemany("DELETE FROM surplus WHERE n = ?", [row[:1] for row in surplus])
            turned = self._db.executemany("DELETE FROM only_surplus WHERE ticket = ?", {used_[:1] for used_ in used})
            progress.use_surplus(used, turned.rowcount)
            self._note(progress)
        self._progress = progress

    def close(self) -> None:
        """Let go of the file; its write-ahead log is folded in."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _explained(self.path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield

    def _note(self, progress: Progress) -> None:
        self._db.execute("INSERT OR REPLACE INTO progress VALUES (1, ?)", (msgspec.json.encode(progress),))

    def _add_pages(self, rows: Rows, ended: Ended, page: int) -> None:
        if records := rows.get("records"):
            self._add_records(records)
        if outcomes := rows.get("outcomes"):
            self._db.execute("INSERT INTO outcome_pages VALUES (NULL, ?)", (outcome_page(outcomes),))
            only_surplus = [row[:1] for row in outcomes if row[1] == "surplus"]
            self._db.executemany("INSERT INTO only_surplus VALUES (?)", only_surplus)
        if memories := rows.get("memories"):
            self._db.executemany("INSERT INTO memory_pages VALUES (NULL, ?, ?)", memory_pages(memories))
        calls = rows.get("calls", ())
        if self._retain == "accepted":
            calls = [call for call in calls if call[0] not in ended.tickets]
            self._db.executemany("DELETE FROM call_pages WHERE n = ?", [(freed,) for freed in ended.pages])
        if calls:
            self._db.execute("INSERT INTO call_pages VALUES (?, ?)", (page, call_page(calls)))

    def _add_records(self, records: Sequence[Row]) -> None:
        if (first := _int(records[0][0])) != self.last_seq + 1:
            raise JournalError(f"record {first} was to be stored behind record {self.last_seq}: a mistake of streamgen")
        self._db.executemany("INSERT INTO record_pages VALUES (?, ?, ?)", record_pages(records))

    def _prepare(self, read_only: bool) -> None:
        (application_id,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables and not read_only:
            self._create()
        elif application_id != APPLICATION_ID:
            raise JournalError(f"{self.path} is a database, but not one of streamgen's; choose another directory")
        elif version > VERSION:
            raise JournalError(
                f"{self.path} was written by a newer streamgen (format {version}, this one knows {VERSION}); upgrade"
            )
        elif version < VERSION:
            raise JournalError(
                f"{self.path} was written by an older streamgen (format {version}, this one knows {VERSION}); "
                "go on with the version that made it, or choose another directory"
            )
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        if not read_only:
            self._set_durability()

    def _set_durability(self) -> None:
        """Only now: a foreign database must stay as it is."""
        durable = ("journal_mode = WAL", "synchronous = FULL", f"wal_autocheckpoint = {LOG_BYTES // PAGE_BYTES}")
        for pragma in ("secure_delete = OFF", *(durable if self.path else ("synchronous = OFF",))):
            self._db.execute(f"PRAGMA {pragma}")

    def _create(self) -> None:
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
        self._db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._db.executescript(f"BEGIN; {SCHEMA} {marks} COMMIT;")


_NEXT_PAGE = "SELECT last, count, lines FROM record_pages WHERE last > ? ORDER BY last LIMIT 1"


def _connect(path: Path | None, read_only: bool) -> sqlite3.Connection:
    name = f"{path.resolve().as_uri()}?mode={_mode(path, read_only)}" if path else ""
    return sqlite3.connect(name, uri=bool(path), check_same_thread=False, isolation_level=None, timeout=30)


def _mode(path: Path, read_only: bool) -> str:
    """How to open the file. A reader needs to write beside it, unless it may take it for one that nobody changes."""
    if not read_only:
        return "rwc"
    is_written = path.with_name(f"{path.name}-wal").exists()
    return "ro" if is_written or os.access(path.parent, os.W_OK) else "ro&immutable=1"


@contextmanager
def _explained(path: Path | None) -> Iterator[None]:
    """SQLite's errors in the user's terms."""
    try:
        yield
    except msgspec.MsgspecError as error:
        raise JournalError(f"the journal {path} is damaged ({error}); restore it or start elsewhere") from error
    except sqlite3.DatabaseError as error:
        what = f"the journal {path}" if path else "the temporary journal"
        if "full" in str(error):
            raise JournalError(
                f"no space is left for {what}; free some and run again: what it holds is safe"
            ) from error
        if "not a database" in str(error) or "malformed" in str(error):
            raise JournalError(f"{what} is not a readable database ({error}); restore it or start elsewhere") from error
        raise JournalError(f"{what} cannot be used: {error}") from error


def _bytes(cell: Cell) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode()


def _int(cell: Cell) -> int:
    return int(cell or 0)
