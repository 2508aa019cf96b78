from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Event, Thread

import pytest

from streamgen.errors import LockedError, RecipeError
from streamgen.journal.lock import is_locked, locked


def test_a_directory_is_held_once_and_free_again(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(LockedError, match=rf"another process \(pid {os.getpid()}\) runs in"), locked(tmp_path):
            pass
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        pass


def test_a_starting_run_waits_for_those_who_only_look(tmp_path: Path) -> None:
    entered = Event()

    def start() -> None:
        with locked(tmp_path):
            entered.set()

    (tmp_path / "run.lock.live").touch()
    with (tmp_path / "run.lock.live").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_locked(tmp_path)  # a second look, at the same time
        run = Thread(target=start)
        run.start()
        assert not entered.is_set()
    run.join(timeout=60)
    assert entered.is_set()


def test_a_look_at_a_run_leaves_it_its_lock(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert is_locked(tmp_path)
        assert is_locked(tmp_path)
        with pytest.raises(LockedError), locked(tmp_path):
            pass
        assert is_locked(tmp_path)


def test_a_directory_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.lock").mkdir()
    with pytest.raises(RecipeError, match="cannot write in the run's directory"), locked(tmp_path):
        pass
