"""One process a run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from streamgen.errors import LockedError, RecipeError

_FILE = "run.lock"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock. The system lets go of it when the process ends, however it ends.

    Raises LockedError, with the other process's number, while somebody else holds it.
    """
    with _opened(directory / _FILE) as file:
        if not _try_lock(file.fileno()):
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise LockedError(
                f"another process (pid {owner}) runs in {directory}; wait for it, stop it, or choose another directory"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_locked(directory: Path) -> bool:
    """Whether a process runs in the directory at this moment."""
    try:
        with (directory / _FILE).open() as file:
            return not _try_lock(file.fileno())
    except OSError:
        return False


def _opened(path: Path) -> TextIO:
    try:
        return path.open("a+")
    except OSError as error:
        raise RecipeError(f"cannot write in the run's directory {path.parent}: {error.strerror}") from None


def _try_lock(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
