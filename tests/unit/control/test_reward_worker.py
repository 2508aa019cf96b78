from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import psutil
import pytest
from reward_jobs import Job, die, double, hang, leave, refuse

from streamgen.control.worker import ProcessWorker, ThreadWorker
from streamgen.errors import RewardError


@pytest.fixture
async def worker() -> AsyncIterator[ProcessWorker]:
    worker = ProcessWorker(timeout_s=60.0)
    yield worker
    await worker.aclose()


def is_alive(process: float) -> bool:
    try:
        return psutil.Process(int(process)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_one_process_answers_all_calls_one_after_the_other(worker: ProcessWorker) -> None:
    answers = []

    async def ask(number: float) -> None:
        answers.append(await worker.call(double, Job(number)))

    async with anyio.create_task_group() as group:
        for number in (1.0, 2.0, 3.0):
            group.start_soon(ask, number)
    assert sorted(answer["double"] for answer in answers) == [2.0, 4.0, 6.0]
    assert len({answer["process"] for answer in answers}) == 1
    assert answers[0]["process"] != os.getpid()


async def test_what_the_calculation_raises_is_told_and_the_process_goes_on(worker: ProcessWorker) -> None:
    first = await worker.call(double, Job(1.0))
    with pytest.raises(RewardError, match=r"ValueError: not 7\.0"):
        await worker.call(refuse, Job(7.0))
    assert await worker.call(double, Job(1.0)) == first


async def test_a_process_that_dies_is_told_and_replaced(worker: ProcessWorker) -> None:
    first = await worker.call(double, Job(1.0))
    with pytest.raises(RewardError, match="killed by SIGKILL, perhaps for want of memory"):
        await worker.call(die, Job())
    second = await worker.call(double, Job(1.0))
    assert second["double"] == 2.0
    assert second["process"] != first["process"]
    with pytest.raises(RewardError, match="ended with the exit code 3"):
        await worker.call(leave, Job())


async def test_what_takes_too_long_is_killed() -> None:
    worker = ProcessWorker(timeout_s=60.0)
    process = (await worker.call(double, Job()))["process"]
    worker._timeout_s = 0.05
    with pytest.raises(RewardError, match=r"not calculated within timeout_s = 0\.05"):
        await worker.call(hang, Job())
    assert not is_alive(process)


async def test_a_cancelled_calculation_is_killed(worker: ProcessWorker) -> None:
    process = (await worker.call(double, Job()))["process"]
    with anyio.move_on_after(0.05) as scope:
        await worker.call(hang, Job())
    assert scope.cancelled_caught
    assert not is_alive(process)
    assert (await worker.call(double, Job(4.0)))["double"] == 8.0


async def test_closing_ends_the_process_and_may_be_repeated() -> None:
    worker = ProcessWorker(timeout_s=60.0)
    await worker.aclose()
    process = (await worker.call(double, Job()))["process"]
    await worker.aclose()
    await worker.aclose()
    assert not is_alive(process)


def test_the_process_ends_with_the_one_that_started_it() -> None:
    code = (
        "import anyio, os\nfrom reward_jobs import Job, double\nfrom streamgen.control.worker import ProcessWorker\n"
        "print(int(anyio.run(ProcessWorker(60.0).call, double, Job())['process']), flush=True)\nos.kill(os.getpid(), 9)"
    )
    started = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=Path(__file__).parent)
    while is_alive(int(started.stdout)):  # it hears of it at once; a failure is a test that never ends
        os.sched_yield()


async def test_a_thread_answers_and_is_left_behind_when_it_takes_too_long() -> None:
    assert (await ThreadWorker(60.0).call(double, Job(2.0)))["process"] == os.getpid()
    with pytest.raises(ValueError, match="not 7"):
        await ThreadWorker(60.0).call(refuse, Job(7.0))
    with pytest.raises(RewardError, match="not calculated within"):
        await ThreadWorker(0.01).call(hang, Job())
    await ThreadWorker(60.0).aclose()
