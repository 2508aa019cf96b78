"""A call that is asked a second time while the first request is under way: the first usable answer wins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from streamgen.llm.hedge import Hedges
from streamgen.llm.model import Response
from streamgen.llm.retry import CallError, Kind

Ask: TypeAlias = Callable[[], Awaitable[Response | None]]


class Race:
    """One request, and a second one where `hedges` finds it late. A task is made for the second one only.

    `extra` are usable answers that came too late; `errors` what failed, in the order in which it did.
    """

    def __init__(self, hedges: Hedges, at: float, clock: Callable[[], float]) -> None:
        self.at = at
        self.is_over = False  # the first request has ended
        self.is_hedged = False  # the second request is sent
        self.answer: Response | None = None
        self.extra: list[Response] = []
        self.errors: list[CallError] = []
        self._hedges = hedges
        self._clock = clock
        self._double: asyncio.Task[None] | None = None
        self._bug: Exception | None = None

    async def run(self, first: Ask, second: Ask) -> None:
        """Return when there is an answer and the other request has ended, or when both have failed."""
        self._second = second
        try:
            # Not anyio's: a timer starts the second request, and there anyio does not know which loop is running.
            async with asyncio.TaskGroup() as self._group:
                self._hedges.began(self)
                await self._run_first(first)
        except BaseExceptionGroup:
            if self._bug:
                raise self._bug from None
            if not self.answer:
                raise
        finally:
            if self._double and not self.is_hedged:  # it may have been cancelled before it began
                self._hedges.not_sent()

    def hedge(self) -> None:
        """Send the second request; it returns None where it is not sent after all."""
        self._double = self._group.create_task(self._run_second())

    async def _run_first(self, ask: Ask) -> None:
        failed = None
        try:
            failed = await self._settle(ask)
        finally:
            self.is_over = True
            if self.answer or failed is Kind.TIMEOUT:
                self._hedges.took(self._clock() - self.at)
        # Where the first one failed, a second one that still stands in line is not needed: the call is tried again.
        if self._double and (self.answer or not self.is_hedged):
            self._double.cancel()

    async def _run_second(self) -> None:
        await self._settle(self._second)
        if self.answer and not self.is_over:
            raise _Overtaken  # which cancels the first one: how a task group is ended from inside

    async def _settle(self, ask: Ask) -> Kind | None:
        try:
            answer = await ask()
        except CallError as error:
            self.errors.append(error)
            return error.kind
        except Exception as error:
            self._bug = error
            raise
        if answer and self.answer:
            self.extra.append(answer)
        self.answer = self.answer or answer
        return None


class _Overtaken(Exception):
    """The second request was answered before the first."""
