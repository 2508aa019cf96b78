"""The run's append-only file: bytes that are written once, never change, and are found by where they begin."""

from __future__ import annotations

import os
import tempfile
from io import FileIO
from pathlib import Path

from streamgen.errors import JournalError

_write = getattr(os, "writev", lambda file, parts: os.write(file, b"".join(parts)))  # Windows has but the other
_MOST_PARTS = 1000  # that a system takes at once
_SYNCED: int = getattr(os, "O_DSYNC", 0)  # a write returns when it is on the disk: one call instead of two


class Log:
    """Bytes behind each other. What lies beyond the end that the database knows was never committed.

    `path` None keeps it in a file without a name that vanishes with the process. Use it from one thread at a time.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        self.path = path
        self.end = 0  # where the next bytes go
        self._at = 0  # where the file stands
        self._waiting: list[bytes] = []
        self._file = _opened(path, read_only) if path else _unnamed()
        self._needs_sync = bool(path) and not _SYNCED

    def __repr__(self) -> str:
        return f"<Log {self.path or 'temporary'} {self.end} bytes>"

    def cut(self, end: int) -> None:
        """Go back to the end of the last commit. Raises JournalError where the file does not reach it."""
        if (size := os.fstat(self._file.fileno()).st_size) < end:
            self.close()
            raise self._damaged(f"it has {size} of {end} bytes")
        if size > end:
            self._file.truncate(end)
        self.end = end

    def append(self, data: bytes) -> tuple[int, int]:
        """Put bytes behind the end, to be written with all others; where they begin, and how many they are."""
        at = self.end
        self._waiting.append(data)
        self.end += len(data)
        return at, len(data)

    def write(self) -> None:
        """Bring what was appended to the disk."""
        if not self._waiting:
            return
        size = sum(map(len, self._waiting))
        self._go_to(self.end - size)
        written = _write(self._file.fileno(), self._waiting[:_MOST_PARTS])
        self._at += written
        if written < size:  # a disk that fills up takes a part first
            self._write_rest(memoryview(b"".join(self._waiting))[written:])
        if self._needs_sync:
            os.fsync(self._file.fileno())
        self._waiting = []

    def _write_rest(self, left: memoryview) -> None:
        while left:
            self._at += (written := self._file.write(left))
            left = left[written:]

    def revert(self) -> None:
        """Forget what was appended since the last write."""
        self.end -= sum(map(len, self._waiting))
        self._waiting = []

    def read(self, at: int, size: int) -> bytes:
        """So many bytes from there on. Raises JournalError where there are fewer."""
        self._go_to(at)
        data = self._file.read(size)
        self._at += len(data)
        if len(data) < size:
            raise self._damaged(f"it ends before byte {at + size}")
        return data

    def close(self) -> None:
        """Let go of the file; closing twice is fine."""
        self._file.close()

    def _go_to(self, at: int) -> None:
        if at != self._at:
            self._at = self._file.seek(at)

    def _damaged(self, how: str) -> JournalError:
        return JournalError(f"the journal {self.path} is damaged ({how}); restore it or start elsewhere")


def _opened(path: Path, read_only: bool) -> FileIO:
    if read_only:
        return FileIO(path)
    return FileIO(path, "rb+" if path.exists() else "wb+", opener=lambda name, flags: os.open(name, flags | _SYNCED))


def _unnamed() -> FileIO:
    return tempfile.TemporaryFile(buffering=0)
