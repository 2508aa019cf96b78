"""Opening a run's SQLite file, and its errors in the user's terms."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from streamgen.errors import JournalError
from streamgen.journal.schema import APPLICATION_ID, SCHEMA, VERSION

_CACHE_KB = 512  # of the database in memory: what is appended is not read again


def connect(path: Path | None, *, read_only: bool) -> sqlite3.Connection:
    """The database, made where there is none. Raises JournalError for one that is not ours, or of another format."""
    name = f"{path.resolve().as_uri()}?mode={_mode(path, read_only)}" if path else ""
    database = sqlite3.connect(name, uri=bool(path), check_same_thread=False, isolation_level=None, timeout=30)
    try:
        _prepare(database, path, read_only)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def explained(path: Path | None) -> Iterator[None]:
    """SQLite's and the system's errors in the user's terms."""
    what = f"the journal {path}" if path else "the temporary journal"
    try:
        yield
    except msgspec.MsgspecError as error:
        raise JournalError(f"{what} is damaged ({error}); restore it or start elsewhere") from error
    except (sqlite3.DatabaseError, OSError) as error:
        said = str(error)
        if "full" in said or "No space" in said:
            raise JournalError(
                f"no space is left for {what}; free some and run again: what it holds is safe"
            ) from error
        if "not a database" in said or "malformed" in said:
            raise JournalError(f"{what} is not a readable database ({error}); restore it or start elsewhere") from error
        raise JournalError(f"{what} cannot be used: {error}") from error


def _prepare(database: sqlite3.Connection, path: Path | None, read_only: bool) -> None:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not read_only:
        database.executescript(
            f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
        )
    else:
        _check_format(database, path)
    database.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    if not read_only:  # only now: a foreign database must stay as it is
        durable = ("journal_mode = WAL", "synchronous = FULL") if path else ("synchronous = OFF",)
        for pragma in ("secure_delete = OFF", *durable):
            database.execute(f"PRAGMA {pragma}")


def _check_format(database: sqlite3.Connection, path: Path | None) -> None:
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise JournalError(f"{path} is a database, but not one of streamgen's; choose another directory")
    if version > VERSION:
        raise JournalError(
            f"{path} was written by a newer streamgen (format {version}, this one knows {VERSION}); upgrade"
        )
    if version < VERSION:
        raise JournalError(
            f"{path} was written by an older streamgen (format {version}, this one knows {VERSION}); "
            "go on with the version that made it, or choose another directory"
        )


def _mode(path: Path, read_only: bool) -> str:
    """How to open the file. A reader needs to write beside it, unless it may take it for one that nobody changes."""
    if not read_only:
        return "rwc"
    is_written = path.with_name(f"{path.name}-wal").exists()
    return "ro" if is_written or os.access(path.parent, os.W_OK) else "ro&immutable=1"
