"""Work beside the event loop, in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from streamgen.errors import RewardError

A = TypeVar("A")
R = TypeVar("R")


async def in_thread(function: Callable[[A], R], argument: A) -> R:
    """The function's answer from a daemon thread, which is left behind on cancellation.

    anyio's worker threads are waited for at the interpreter's end: one hanging function would keep the process alive.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[R] = loop.create_future()

    def settle(set_outcome: Callable[[Any], None], outcome: object) -> None:
        if not answer.done():
            set_outcome(outcome)

    def work() -> None:
        report: tuple[Callable[[Any], None], object]
        try:
            report = (answer.set_result, function(argument))
        except BaseException as error:  # handed over to the one who waits
            report = (answer.set_exception, _carried(error))
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *report)

    Thread(target=work, name="streamgen reward", daemon=True).start()
    return await answer


def _carried(error: BaseException) -> Exception:
    """SystemExit and StopIteration cannot travel through a future."""
    usable = isinstance(error, Exception) and not isinstance(error, StopIteration)
    return error if usable else RewardError(f"the reward function raised {type(error).__name__}: {error}")  # type: ignore[return-value]
