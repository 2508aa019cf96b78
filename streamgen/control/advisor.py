"""Speaks with an agent: one request after the other, in their order, a heavy agent's in a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

from streamgen.control.agent import Agent
from streamgen.record import Value

T = TypeVar("T")


class Advisor:
    """What is asked of the agent, and told, is done in order; what follows from it is done on the event loop.

    A quick agent does it at once. Else it waits in a line that `run` works off in a thread, so that the loop goes on.
    """

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.is_quick: bool = getattr(agent, "is_quick", False)
        self._recommended: Mapping[str, Value] | None = None
        self._line: deque[Callable[[], Callable[[], None]]] = deque()
        self._is_closed = False
        self._wake: anyio.Event | None = None  # there while `run` waits

    def __repr__(self) -> str:
        return f"<Advisor {type(self.agent).__name__}, {len(self._line)} wait>"

    @property
    def recommended(self) -> Mapping[str, Value] | None:
        """The settings to produce with, after all that the agent was told up to now."""
        return self.agent.recommend() if self.is_quick else self._recommended

    def do(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Have the agent do something that does not change what it recommends; `then` gets the result."""
        if self.is_quick:
            then(work())
        else:
            self._put(lambda: _followed(then, work()))

    def teach(self, work: Callable[[], None], then: Callable[[], None]) -> None:
        """Have the agent learn something."""
        if self.is_quick:
            work()
            then()
        else:
            self._put(lambda: self._taught(work, then))

    def learned(self) -> None:
        """The agent was taught apart, by the caller."""
        self._recommended = self.agent.recommend()

    async def run(self) -> None:
        """Work off the line until it is closed and empty."""
        while self._line or not self._is_closed:
            if self._line:
                then = await run_sync(self._line[0], abandon_on_cancel=True)
                self._line.popleft()
                then()
            else:
                self._wake = anyio.Event()
                await self._wake.wait()

    def close(self) -> None:
        """Nothing more will come."""
        self._is_closed = True
        self._notify()

    def _put(self, job: Callable[[], Callable[[], None]]) -> None:
        self._line.append(job)
        self._notify()

    def _notify(self) -> None:
        if self._wake:
            self._wake.set()
            self._wake = None

    def _taught(self, work: Callable[[], None], then: Callable[[], None]) -> Callable[[], None]:
        work()
        recommended = self.agent.recommend()

        def follow() -> None:
            self._recommended = recommended
            then()

        return follow


def _followed(then: Callable[[T], None], result: T) -> Callable[[], None]:
    return lambda: then(result)
