from __future__ import annotations

import fcntl
import os
from pathlib import Path

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


def test_a_starting_run_waits_for_those_who_only_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.lock").touch()
    looking = (tmp_path / "run.lock").open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        looking.close()

    monkeypatch.setattr("streamgen.journal.lock.time.sleep", wait)
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert len(waits) == 1


def test_a_directory_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.lock").mkdir()
    with pytest.raises(RecipeError, match="cannot write in the run's directory"), locked(tmp_path):
        pass
