"""One process a run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from streamgen.errors import LockedError, RecipeError

_FILE = "run.lock"  # taken by runs alone: who cannot have it at once is refused
_LIVE = "run.lock.live"  # held by the run; whoever looks shares it for an instant, which the run waits for


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock. The system lets go of it when the process ends, however it ends.

    Raises LockedError, with the other process's number, while somebody else holds it.
    """
    with _opened(directory / _FILE) as file, _opened(directory / _LIVE) as live:
        if not _try_lock(file.fileno()):
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise LockedError(
                f"another process (pid {owner}) runs in {directory}; wait for it, stop it, or choose another directory"
            )
        _wait_for_lookers(live.fileno())
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_locked(directory: Path) -> bool:
    """Whether a process runs in the directory at this moment. Whoever looks never makes a starting run fail."""
    try:
        with (directory / _LIVE).open() as file:
            return not _try_lock(file.fileno(), is_shared=True)
    except OSError:
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


def _wait_for_lookers(descriptor: int) -> None:
    """Hold what lookers share; no other run is here, so that the wait is as short as a look."""
    try:
        import fcntl
    except ImportError:  # Windows, where nothing can be shared: a look may fail instead
        _try_lock(descriptor)
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
