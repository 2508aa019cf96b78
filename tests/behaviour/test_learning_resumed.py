"""A run that is killed amid its trials goes on with the same suggestions as one that was never killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import learning_child
import pytest
from runs import query

import streamgen

DECIDED = """
SELECT id, t ->> '$.kind', t -> '$.settings', t ->> '$.heard' FROM (SELECT id, CAST(body AS TEXT) AS t FROM trials)
ORDER BY id
"""


def decided(directory: Path) -> list[tuple[Any, ...]]:
    return query(directory, DECIDED)


@pytest.mark.parametrize("agent", ["random_search", "surrogate"])
def test_30_trials_killed_in_the_15th_go_on_as_if_they_had_not_been(agent: str, tmp_path: Path) -> None:
    whole = streamgen.run(learning_child.recipe(agent), directory=tmp_path / "whole")
    kill_at = 15 * learning_child.BATCH + 1
    child = [sys.executable, learning_child.__file__, agent, str(tmp_path / "killed"), str(kill_at)]
    assert subprocess.run(child, check=False).returncode == -signal.SIGKILL
    before = decided(tmp_path / "killed")
    resumed = streamgen.run(learning_child.recipe(agent), directory=tmp_path / "killed")

    expected = decided(tmp_path / "whole")
    assert decided(tmp_path / "killed") == expected
    assert 8 < len(before) <= 16  # the last commits were lost
    assert before == expected[: len(before)]
    assert len({settings for _, kind, settings, _ in expected if kind == "explore"}) > 5
    assert [kind for _, kind, *_ in expected].count("incumbent") == 3
    assert resumed.trials is not None and whole.trials is not None
    assert resumed.trials.recommended == whole.trials.recommended
    assert [result.value for result in resumed.trials.trials] == [result.value for result in whole.trials.trials]
