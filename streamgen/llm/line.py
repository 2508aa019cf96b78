"""The line in which calls wait for their turn: by priority, and no call waits for ever."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Collection
from itertools import count
from typing import Generic, TypeVar

AGEING_S = 30.0
"""A call that has waited so much longer than another one outweighs one step of priority."""

_SPARE = 64  # places of calls that left are kept until they are so many, and more than those of calls that wait

G = TypeVar("G")


class Waiter:
    """A call's place in line. It keeps its rank when it comes again, so that a refused call does not start over.

    It keeps clear of what it should `avoid` where it can.
    """

    number = -1
    avoid: Collection[object] = ()

    def __init__(self, priority: int, arrived: float, tokens: float) -> None:
        self.priority, self.arrived, self.tokens = priority, arrived, tokens

    @property
    def rank(self) -> float:
        """The lowest is served first."""
        return self.arrived - self.priority * AGEING_S

    def rejoin(self, now: float) -> None:
        """Stand behind those who have come by now."""
        self.arrived, self.number = now, -1

    def beside(self, avoid: object) -> Waiter:
        """A second place of the same rank."""
        waiter = Waiter(self.priority, self.arrived, self.tokens)
        waiter.avoid = (avoid,)
        return waiter


class Line(Generic[G]):
    """Calls by priority (higher first), then in the order in which they came; who waits gains on the others.

    A call is ranked as if it had come AGEING_S earlier for each step of its priority. That is linear ageing: ranks
    never change between calls that wait, so one heap is enough, and a call is overtaken only by those that come
    less than AGEING_S times the difference in priority after it. (Deadlines instead of fixed priorities: Liu and
    Layland, 1973.)
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Waiter, asyncio.Future[G | None]]] = []
        self._numbers = count()
        self.waiting = 0  # how many; the heap also holds those that left

    def join(self, waiter: Waiter) -> asyncio.Future[G | None]:
        """Stand in line. The future brings what is granted, which is the waiter's from then on; None for never."""
        if waiter.number < 0:
            waiter.number = next(self._numbers)
        turn: asyncio.Future[G | None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._heap, (waiter.rank, waiter.number, waiter, turn))
        self.waiting += 1
        return turn

    def head(self) -> Waiter | None:
        """Whose turn is next."""
        heap = self._heap
        while heap and heap[0][3].done():
            heapq.heappop(heap)
        return heap[0][2] if heap else None

    def grant(self, granted: G) -> None:
        """Give the head what it waits for."""
        self.waiting -= 1
        heapq.heappop(self._heap)[3].set_result(granted)

    def leave(self) -> None:
        """Somebody gave up before its turn: its future is cancelled."""
        self.waiting -= 1
        if len(self._heap) > 2 * self.waiting + _SPARE:
            self._heap = [entry for entry in self._heap if not entry[3].done()]
            heapq.heapify(self._heap)

    def dismiss(self) -> None:
        """Tell everybody that no turn will come."""
        heap, self._heap = self._heap, []
        for *_, turn in heap:
            if not turn.done():
                self.waiting -= 1
                turn.set_result(None)
