"""One timer cuts every call that is due, no other, and only what was cut by it is told as a timeout."""

import asyncio

import pytest

from streamgen.llm.timeouts import Deadlines, Overdue
from streamgen.virtual_time import run_virtual


async def watched(deadlines: Deadlines, seconds: float) -> float:
    task = asyncio.current_task()
    assert task
    loop = asyncio.get_running_loop()
    deadlines.begin(task)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        deadlines.raise_if_struck(task)
        raise
    finally:
        deadlines.end(task)
    return loop.time()


def test_each_is_cut_at_its_own_time() -> None:
    async def main() -> list[tuple[int, float]]:
        loop, cut = asyncio.get_running_loop(), []
        deadlines = Deadlines(10.0, "too long")
        began = loop.time()

        async def call(number: int) -> None:
            await asyncio.sleep(number)
            try:
                await watched(deadlines, 5.0 if number % 2 else 50.0)
            except Overdue as error:
                assert str(error) == "too long"
                cut.append((number, loop.time() - began))

        async with asyncio.TaskGroup() as tasks:
            for number in range(6):
                tasks.create_task(call(number))
        return cut

    assert run_virtual(main) == [(0, 10.0), (2, 12.0), (4, 14.0)]


def test_one_timer_serves_many_calls() -> None:
    async def main() -> int:
        loop, timers = asyncio.get_running_loop(), 0
        call_at = loop.call_at

        def counted(when: float, callback: object, *args: object, **more: object) -> asyncio.TimerHandle:
            nonlocal timers
            timers += getattr(callback, "__name__", "") == "_ring"
            return call_at(when, callback, *args, **more)  # type: ignore[arg-type]

        loop.call_at = counted  # type: ignore[method-assign,assignment]
        deadlines = Deadlines(60.0, "too long")
        for _ in range(1000):
            await watched(deadlines, 0.1)
        return timers

    assert run_virtual(main) <= 3  # 100 s of calls


def test_a_cancellation_from_outside_stays_one() -> None:
    async def main() -> bool:
        deadlines = Deadlines(10.0, "too long")
        task = asyncio.create_task(watched(deadlines, 50.0))
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(60.0)
        return task.cancelled()

    assert run_virtual(main)


def test_a_task_that_was_cut_can_go_on() -> None:
    async def main() -> int:
        deadlines = Deadlines(1.0, "too long")
        for _ in range(3):
            with pytest.raises(Overdue):
                await watched(deadlines, 5.0)
        await watched(deadlines, 0.5)
        task = asyncio.current_task()
        assert task
        return task.cancelling()

    assert run_virtual(main) == 0


def test_closed_deadlines_cut_nobody() -> None:
    async def main() -> None:
        deadlines = Deadlines(1.0, "too long")
        task = asyncio.create_task(watched(deadlines, 5.0))
        await asyncio.sleep(0.5)
        deadlines.close()
        await task

    run_virtual(main)


def test_an_infinite_delay_is_none() -> None:
    async def main() -> float:
        return await watched(Deadlines(float("inf"), "too long"), 1e6)

    assert run_virtual(main) == 1e6
