"""One process a run directory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from streamgen.errors import LockedError, RecipeError

_FILE = "run.lock"
_LOOKS = 100  # times that a starting run waits for somebody who only looks
_LOOK_S = 0.01


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock. The system lets go of it when the process ends, however it ends.

    Raises LockedError, with the other process's number, while somebody else holds it.
    """
    with _opened(directory / _FILE) as file:
        if not _taken(file.fileno()):
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
    """Whether a process runs in the directory at this moment. Whoever looks never makes a starting run fail."""
    try:
        with (directory / _FILE).open() as file:
            return not _try_lock(file.fileno(), is_shared=True)
    except OSError:
        return False


def _taken(descriptor: int) -> bool:
    """Take the lock; False where a run has it. Those who only look share it for a moment, and are waited for."""
    for _ in range(_LOOKS):
        if _try_lock(descriptor):
            return True
        if not _try_lock(descriptor, is_shared=True):
            return False
        _unlock(descriptor)
        time.sleep(_LOOK_S)
    return False


def _opened(path: Path) -> TextIO:
    try:
        return path.open("a+")
    except OSError as error:
        raise RecipeError(f"cannot write in the run's directory {path.parent}: {error.strerror}") from None


def _try_lock(descriptor: int, *, is_shared: bool = False) -> bool:
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
        fcntl.flock(descriptor, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows, where no lock is shared
        return
    fcntl.flock(descriptor, fcntl.LOCK_UN)
