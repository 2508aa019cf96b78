"""Whose turn it is: the line of calls in front of an endpoint's lanes, without polling."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TypeAlias

from streamgen.errors import StreamgenError
from streamgen.llm.lanes import Grant, Lanes
from streamgen.llm.line import Line, Waiter

Refusal: TypeAlias = Callable[[], StreamgenError]
"""Makes what a call ends with that will not be sent any more: each call gets one of its own."""


class Turns:
    """Gives slots of the lanes to calls in the order of the line.

    A turn goes straight to the call whose it is: only that one wakes up. Where nobody can start now, one timer waits
    for the earliest time at which the head of the line may. Once it is `closed`, no call starts any more.
    """

    def __init__(self, lanes: Lanes, clock: Callable[[], float]) -> None:
        self.line: Line[Grant] = Line()
        self.closed: Refusal | None = None
        self._lanes = lanes
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def start(self, place: Waiter, now: float) -> Grant | None:
        """A slot at once, where one is free and nobody stands in line."""
        if self.line.waiting or self.closed:
            return None
        return self._lanes.start(place.tokens, now, place.avoid)

    async def wait(self, place: Waiter) -> Grant:
        """Stand in line for a slot, which the caller has to end. Raises the refusal when there will be none."""
        if self.closed:
            raise self.closed()
        turn = self.line.join(place)
        self.dispatch()
        try:
            grant = await turn
        except BaseException:
            self._leave(turn)
            raise
        if grant is None:
            assert self.closed, "only those are dismissed who stand in a closed line"
            raise self.closed()
        return grant

    def dispatch(self) -> None:
        """Give slots to those whose turn it is, and come back when the next one may start."""
        now, at = self._clock(), math.inf
        while place := self.line.head():
            if not (grant := self._lanes.start(place.tokens, now, place.avoid)):
                at = self._lanes.ready_at(place.tokens, now)
                break
            self.line.grant(grant)
        self._come_back(at, now)

    def give_back(self, grant: Grant) -> None:
        """Undo a start: nothing was sent."""
        lane, pass_ = grant
        lane.withdraw(pass_, self._clock())
        self.dispatch()

    def close(self, refusal: Refusal) -> StreamgenError:
        """Start nothing any more, and tell everybody in line. The first refusal stays: what it makes is returned."""
        self.closed = self.closed or refusal
        self.line.dismiss()
        return self.closed()

    def _leave(self, turn: asyncio.Future[Grant | None]) -> None:
        if turn.cancel() or turn.cancelled():
            self.line.leave()
            self.dispatch()
        elif grant := turn.result():
            self.give_back(grant)

    def _come_back(self, at: float, now: float) -> None:
        if at == self._timer_at:
            return
        if self._timer:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at == math.inf else asyncio.get_running_loop().call_later(at - now, self._time_has_come)

    def _time_has_come(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self.dispatch()
