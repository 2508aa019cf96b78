"""Ctrl-C in a script that calls `streamgen.run`: the run is cut off, comes to rest, and resumes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from runs import check_whole, query

_SCRIPT = """
import sys, anyio, msgspec, streamgen
from streamgen.context import Context
from streamgen.recipe import StageSpec, Recipe, RunSpec
from streamgen.record import Record
from streamgen.settings import Settings

class Nothing(Settings, frozen=True, kw_only=True):
    pass

async def slow(record: Record, context: Context[Nothing]) -> Record:
    if context.ticket == 50:
        print("begun", flush=True)
    await anyio.sleep(0.001 if sys.argv[2] == "end" else 0.02)
    return record

stages = (StageSpec(name="slow", type=slow, parallel=4),)
recipe = Recipe.parse({"stages": [{"name": "a", "type": "length", "column": "x"}], "run": {"accept": 200}, "sinks": [
    {"type": "jsonl"}, {"type": "jsonl", "path": "b.jsonl.zst"}]})
recipe = msgspec.structs.replace(recipe, stages=stages)
try:
    streamgen.run(recipe, directory=sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
else:
    print("ended")
"""


def started(directory: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", _SCRIPT, str(directory), how]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_leaves_a_run_at_rest_that_resumes(tmp_path: Path, signals: int) -> None:
    with started(tmp_path, "cut") as script:
        assert script.stdout is not None and script.stderr is not None
        assert script.stdout.readline() == "begun\n"
        for _ in range(signals):
            script.send_signal(signal.SIGINT)
        assert (script.stdout.read(), script.stderr.read()) == ("interrupted\n", "")
    check_whole(tmp_path)
    assert query(tmp_path, "SELECT end FROM sessions") == [("stopped",)]
    (kept,) = query(tmp_path, "SELECT count(*) FROM records")[0]
    assert 0 < kept < 200
    assert len((tmp_path / "records.jsonl").read_bytes().splitlines()) == kept
    with started(tmp_path, "end") as script:
        said, errors = script.communicate()
    assert (said.splitlines()[-1], errors) == ("ended", "")
    assert query(tmp_path, "SELECT count(DISTINCT id) FROM records") == [(200,)]
