"""One process a run directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamgen.errors import LockedError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock. The system lets go of it when the process ends, however it ends.

    Raises LockedError, with the other process's number, while somebody else holds it.
    """
    path = directory / "run.lock"
    with path.open("a+") as file:
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
