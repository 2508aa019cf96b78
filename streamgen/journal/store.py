"""The SQLite file of a run, as plain synchronous methods: open, commit a batch of rows, read."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeAlias

from streamgen.errors import JournalError
from streamgen.journal.schema import APPLICATION_ID, INSERTS, SCHEMA, VERSION

FILE_NAME = "run.db"

_ROWS_A_STATEMENT = 64  # of at most 11 cells; SQLite takes 32,766 of them (999 before 3.32)

Cell: TypeAlias = int | float | str | bytes | None
Rows: TypeAlias = Mapping[str, Sequence[tuple[Cell, ...]]]


class Stored(NamedTuple):
    """An accepted record: its place in the order of acceptance, from 1, and its JSON line."""

    seq: int
    body: bytes


class Store:
    """One run's database. `path` None keeps it in a private temporary file that vanishes with the process.

    Use it from one thread at a time.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
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
        """Write all rows in one transaction: after it they are on disk, and before it none of them is."""
        with _explained(self.path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for table, values in rows.items():
                self._insert(table, values)

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
        with _explained(self.path):
            query = "SELECT seq, body FROM records WHERE seq > ? ORDER BY seq LIMIT ?"
            return [Stored(*row) for row in self._db.execute(query, (after, limit))]

    def pages(self, after: int = 0, size: int = 256) -> Iterator[list[Stored]]:
        """All accepted records behind the `after`-th, a page at a time."""
        while page := self.records(after, size):
            yield page
            after = page[-1].seq

    @property
    def last_seq(self) -> int:
        """How many records were accepted so far."""
        (count,) = self.one("SELECT coalesce(max(seq), 0) FROM records")
        return int(count or 0)

    def use_surplus(self, wanted: int | None) -> int:
        """Turn up to `wanted` surplus records (None: all) into accepted ones, the oldest first; how many there were."""
        query = "SELECT n, ticket, id, body FROM surplus ORDER BY n LIMIT ?"
        rows = self.read(query, -1 if wanted is None else wanted)
        if not rows:
            return 0
        last = self.last_seq
        with _explained(self.path), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            numbered = [(last + i, ticket, id_, body) for i, (_, ticket, id_, body) in enumerate(rows, 1)]
            self._db.executemany(INSERTS["records"], numbered)
            self._db.executemany("DELETE FROM surplus WHERE n = ?", [(n,) for n, *_ in rows])
            accepted = [(ticket,) for _, ticket, _, _ in rows]
            self._db.executemany("UPDATE outcomes SET outcome = 'accepted' WHERE ticket = ?", accepted)
        return len(rows)

    def close(self) -> None:
        """Let go of the file; its write-ahead log is folded in."""
        self._db.close()

    def _insert(self, table: str, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Many rows a statement: sqlite3 lets go of the interpreter at each, and a busy loop gives it back late."""
        insert, _, row = INSERTS[table].partition(" VALUES ")
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            part = rows[start : start + _ROWS_A_STATEMENT]
            self._db.execute(f"{insert} VALUES {', '.join([row] * len(part))}", tuple(chain.from_iterable(part)))

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

        if not read_only:
            self._set_durability()

    def _set_durability(self) -> None:
        """Only now: a foreign database must stay as it is."""
        for pragma in ("journal_mode = WAL", "synchronous = FULL") if self.path else ("synchronous = OFF",):
            self._db.execute(f"PRAGMA {pragma}")

    def _create(self) -> None:
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
        self._db.executescript(f"BEGIN; {SCHEMA} {marks} COMMIT;")


def unsettled(store: Store) -> tuple[list[int], int]:
    """Tickets below the highest known one that have no outcome, and the first ticket that was never issued."""
    (highest,) = store.one(
        "SELECT max((SELECT coalesce(max(ticket), -1) FROM outcomes), (SELECT coalesce(max(ticket), -1) FROM calls),"
        " (SELECT coalesce(max(ticket), -1) FROM records), (SELECT coalesce(max(ticket), -1) FROM surplus))"
    )
    following = int(highest if highest is not None else -1) + 1
    gaps: list[int] = []
    query = (
        "SELECT ticket, before FROM (SELECT ticket, lag(ticket, 1, -1) OVER (ORDER BY ticket) AS before"
        " FROM outcomes) WHERE ticket > before + 1"
    )
    for ticket, before in store.read(query):
        gaps.extend(range(_int(before) + 1, _int(ticket)))
    (settled_up_to,) = store.one("SELECT coalesce(max(ticket), -1) FROM outcomes")
    gaps.extend(range(_int(settled_up_to) + 1, following))
    return gaps, following


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
