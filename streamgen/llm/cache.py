"""Answers that any run may use again: one SQLite file, which any number of processes read and write at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread

import msgspec

from streamgen.errors import RecipeError
from streamgen.llm.model import Request, Response

_APPLICATION_ID = 0x5374_6743  # "StgC"
_VERSION = 1
_PATIENCE_S = 10.0  # for other processes that write
_AT_ONCE = 500  # answers in a transaction at most
_TABLE = "CREATE TABLE answers (key BLOB PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Response).decode


class CacheStatistics(msgspec.Struct, frozen=True):
    """What the cache was asked in this session: `hits` were paid by nobody. `failed` answers could not be stored."""

    hits: int
    misses: int
    stored: int
    failed: int


class ResponseCache:
    """Answers by model and request. Use it from one thread; what is put is written by another one, in the background.

    An answer is found by this process at once, and by others when it is written. Of two that put the same key the
    first one stays. Losing the newest answers to a crash costs money, but never a run: nothing waits for the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hits = self._misses = 0
        self._stored = self._failed = 0  # the writer's
        self._waiting: dict[bytes, bytes] = {}  # until they are written
        self._lock = Lock()  # around `_waiting`
        self._queue: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        self._writer: Thread | None = None
        with _explained(path):
            self._db = _open(path)

    def __repr__(self) -> str:
        return f"<ResponseCache {self.path} {self.statistics()}>"

    def get(self, key: bytes) -> Response | None:
        """The answer that was put under this key; None where there is none, or where the file cannot be read."""
        body = self._waiting.get(key) or self._read(key)
        if body is not None:
            with suppress(msgspec.MsgspecError):  # damaged: it is paid again
                answer = _decode(body)
                self._hits += 1
                return answer
        self._misses += 1
        return None

    def put(self, key: bytes, response: Response) -> None:
        """Keep an answer; returns at once."""
        body = _encode(response)
        with self._lock:
            self._waiting[key] = body
        self._queue.put((key, body))
        if self._writer is None:
            self._writer = Thread(target=self._write, name="streamgen cache", daemon=True)
            self._writer.start()

    def statistics(self) -> CacheStatistics:
        """Counts of this session."""
        return CacheStatistics(self._hits, self._misses, self._stored, self._failed)

    def close(self) -> None:
        """Write what waits, and let go of the file; closing twice is fine."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        self._db.close()

    def _read(self, key: bytes) -> bytes | None:
        try:
            found = self._db.execute("SELECT body FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError:
            return None
        return found[0] if found else None

    def _write(self) -> None:
        """The writer's thread, until it is told to end."""
        is_open = True
        db: sqlite3.Connection | None = None
        while is_open:
            rows = [self._queue.get()]
            while rows[-1] is not None and len(rows) < _AT_ONCE and not self._queue.empty():
                rows.append(self._queue.get())
            is_open = rows[-1] is not None
            answers = [row for row in rows if row is not None]
            try:
                db = db or _connect(self.path)
                with db:
                    db.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", answers)
                self._stored += len(answers)
            except sqlite3.DatabaseError:  # a full disk, a damaged file: the run goes on without
                self._failed += len(answers)
            self._forget(answers)
        if db is not None:
            db.close()

    def _forget(self, answers: list[tuple[bytes, bytes]]) -> None:
        with self._lock:
            for key, body in answers:
                if self._waiting.get(key) is body:
                    del self._waiting[key]


def key_of(model: str, request: Request) -> bytes:
    """What an answer is found by: 32 bytes of the model (where it is, and its name) and of all that it was asked."""
    asked = msgspec.structs.replace(request, idempotency_key="") if request.idempotency_key else request
    return blake2b(_encode((model, type(request).__name__, asked)), digest_size=32).digest()


def _open(path: Path) -> sqlite3.Connection:
    """The cache's file, made where there is none."""
    db = _connect(path)
    try:
        (application_id,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            _create(db)
        elif (application_id, version) != (_APPLICATION_ID, _VERSION):
            raise RecipeError(f"{path} is no response cache of this streamgen; name another file, or remove it")
        return db
    except BaseException:
        db.close()
        raise


def _create(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    with db:
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:  # another process may have been faster
            db.execute(_TABLE)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {_VERSION}")


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False)
    db.execute("PRAGMA synchronous = NORMAL")  # a crash of the machine may lose the newest answers, no more
    return db


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise RecipeError(f"the response cache {path} cannot be used ({error}); name another file") from error
