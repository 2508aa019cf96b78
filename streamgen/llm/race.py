"""A call that is asked a second time while the first request is under way: the first usable answer wins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio

from streamgen.llm.hedge import Hedges
from streamgen.llm.model import Response
from streamgen.llm.retry import CallError, Kind

Ask: TypeAlias = Callable[[], Awaitable[Response | None]]


class Race:
    """One request, and a second one where `hedges` finds it late. A task is made for the second one only.

    `extra` are usable answers that came too late; `errors` what failed, the first request's first.
    """

    def __init__(self, hedges: Hedges, at: float, clock: Callable[[], float]) -> None:
        self.at = at
        self.is_over = False
        self.is_hedged = False  # the second request is sent
        self._is_double = False  # it is sent, or stands in line
        self.answer: Response | None = None
        self.extra: list[Response] = []
        self.errors: list[CallError] = []
        self._hedges = hedges
        self._clock = clock
        self._bug: Exception | None = None

    async def run(self, first: Ask, second: Ask) -> None:
        """Return when there is an answer and the other request has ended, or when both have failed."""
        try:
            async with anyio.create_task_group() as self._tasks:
                self._second = second
                self._hedges.began(self)
                await self._first(first)
        except ExceptionGroup:
            if self._bug:
                raise self._bug from None
            raise

    def hedge(self) -> None:
        """Send the second request; it returns None where it is not sent after all."""
        self._is_double = True
        self._tasks.start_soon(self._settle, self._second)

    async def _first(self, ask: Ask) -> None:
        failed = None
        try:
            failed = await self._settle(ask)
        finally:
            self.is_over = True
            if self.answer or failed is Kind.TIMEOUT:
                self._hedges.took(self._clock() - self.at)
        if self._is_double and not self.is_hedged:  # one that still stands in line is not needed: a failed call is tried again
            self._tasks.cancel_scope.cancel()

    async def _settle(self, ask: Ask) -> Kind | None:
        try:
            answer = await ask()
        except CallError as error:
            self.errors.append(error)
            return error.kind
        except Exception as error:
            self._bug = error
            raise
        self._won(answer)
        return None

    def _won(self, answer: Response | None) -> None:
        if answer is None:
            return
        if self.answer:
            self.extra.append(answer)
            return
        self.answer = answer
        if self._is_double:
            self._tasks.cancel_scope.cancel()
