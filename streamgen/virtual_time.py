"""An event loop whose clock jumps to the next timer: an hour of engine time costs what its events cost."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

_TURNS_A_POLL = 16  # a busy loop asks the operating system once in so many turns: asking costs as much as a turn


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where the loop would sleep, the clock is set forward instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._turns += 1
        if timeout == 0 and self._turns % _TURNS_A_POLL:
            return []
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:  # only another thread or process can wake the loop now
            return super().select(None)
        self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual time, starting at 0. Threads and sockets work, but time does not wait for them.

    >>> async def an_hour() -> float:
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run_virtual(an_hour)
    3600.0
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop began, as its timers count them."""
        return self._jumping.now


def run_virtual(main: Callable[[], Awaitable[T]]) -> T:
    """Run an async function on virtual time and return its result."""
    return anyio.run(main, backend_options={"loop_factory": VirtualTimeLoop})
