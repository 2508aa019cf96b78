"""Cuts what takes too long: one timer of the event loop for all calls of a model."""

from __future__ import annotations

import asyncio

_FOR_EVER_S = 1e7  # uvloop's timers take no infinity


class Overdue(TimeoutError):
    """A call was cut; the message says which limit struck, and what to set."""


class Deadlines:
    """Cancels a task that stays between `begin` and `end` for longer than `delay_s`.

    All tasks have the same delay, so they fall due in the order in which they began. The timer looks at the first of
    them, and is set anew when it rings, not for each call: 0.4 us a call, where a timer and a timeout context for each
    cost 10 us.
    """

    def __init__(self, delay_s: float, says: str) -> None:
        self.says = says
        self._delay_s = min(delay_s, _FOR_EVER_S)
        self._loop = asyncio.get_running_loop()
        self._due: dict[asyncio.Task[object], tuple[float, int]] = {}  # when, and cancellations before; oldest first
        self._struck: dict[asyncio.Task[object], int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[object]) -> None:
        """Start the task's time."""
        at = self._loop.time() + self._delay_s
        self._due[task] = at, task.cancelling()
        if self._timer is None:
            self._timer = self._loop.call_at(at, self._ring)

    def end(self, task: asyncio.Task[object]) -> None:
        """The task came through, or needs no more watching."""
        self._due.pop(task, None)

    def raise_if_struck(self, task: asyncio.Task[object]) -> None:
        """Turn this deadline's cancellation into Overdue; somebody else's is left as it is."""
        before = self._struck.pop(task, None)
        if before is not None and task.uncancel() <= before:
            raise Overdue(self.says)

    def close(self) -> None:
        """Watch no more."""
        if self._timer:
            self._timer.cancel()
        self._timer = None
        self._due.clear()

    def _ring(self) -> None:
        now, self._timer = self._loop.time(), None
        while self._due:
            task, (at, before) = next(iter(self._due.items()))
            if at > now:
                self._timer = self._loop.call_at(at, self._ring)
                return
            del self._due[task]
            self._struck[task] = before
            task.cancel()
