"""A tiny workload through the runner, with real processes on the loopback."""

import os
from pathlib import Path

import msgspec
import pytest

from benchmarks.processes import Process, tree
from benchmarks.runner import measure
from benchmarks.workloads import WORKLOADS, prompts

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the harness runs on Linux")


def tiny(name: str, **more):
    return msgspec.structs.replace(WORKLOADS[name], records=20, **more)


@pytest.mark.parametrize("client", ["floor", "streamgen"])
def test_a_client_is_measured_from_outside(client, tmp_path):
    measured = measure(tiny("W1"), client, tmp_path)
    assert measured.error is None
    assert (measured.records, measured.missing, measured.null, measured.duplicated) == (20, 0, 0, 0)
    assert (measured.counters["requests"], measured.counters["paid_prompts"]) == (20, 20)
    assert measured.wall_s and measured.start_s and measured.first_record_s
    assert measured.peak_mb > 10
    assert measured.cpu_s > 0


def test_a_client_that_fails_says_why(tmp_path):
    measured = measure(tiny("W1", loop="none"), "floor", tmp_path)
    assert measured.records == 0
    assert measured.error == "exit code 1: there is no loop 'none': asyncio or uvloop"


def test_every_client_gets_the_same_prompts_and_no_two_are_alike():
    first, second = list(prompts(WORKLOADS["W1"])), list(prompts(WORKLOADS["W1"]))
    assert first == second
    assert len({prompt for _, prompt in first}) == len({id for id, _ in first}) == 5_000


def test_a_process_is_killed_with_all_that_it_started(tmp_path):
    script = "import subprocess; subprocess.Popen(['sleep', '1000']).wait()"
    with Process(["python3", "-c", script], 0, env=dict(os.environ), output=tmp_path / "log") as process:
        while len(pids := list(tree(process.pid))) < 2:
            pass
    usage = process.wait()
    assert usage.exit_code == -9
    assert not any(alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
