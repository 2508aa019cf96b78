"""The servers and keys behind one endpoint, and which of them takes the next call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TypeAlias

from streamgen.llm.lane import Lane
from streamgen.llm.limits import Pass
from streamgen.llm.price import Estimate
from streamgen.llm.retry import Kind, RetryPolicy
from streamgen.record import NO_USAGE, Usage

Grant: TypeAlias = tuple[Lane, Pass]
"""A lane that a call may use now, and what it holds there."""


class Lanes:
    """Gives each call the lane that can start it now; among several, each its share by weight.

    Shares are kept as in start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): the lane whose share was
    served the longest ago is next, and one that could take nothing for a while gets no more than its share afterwards.
    """

    def __init__(self, lanes: Sequence[Lane], retry: RetryPolicy) -> None:
        self.all = tuple(lanes)
        self._only = self.all[0] if len(self.all) == 1 else None
        self._served = 0.0
        for number, lane in enumerate(self.all, 1):
            lane.name = lane.name or f"lane {number}"
            lane.govern(retry, is_alone=len(self.all) == 1)

    def start(self, tokens: float, now: float, avoid: Collection[object] = ()) -> Grant | None:
        """Start a call of about `tokens`, on a lane that it need not avoid if one is free; None if none is."""
        if self._only is not None:
            return (self._only, self._only.start(tokens, now)) if self._only.ready_at(tokens, now) <= now else None
        free = [lane for lane in self.all if lane.ready_at(tokens, now) <= now]
        if not free:
            return None
        lane = min(free, key=lambda lane: (lane in avoid, max(lane.due, self._served)))
        self._served = max(lane.due, self._served)
        lane.due = self._served + 1 / lane.weight
        return lane, lane.start(tokens, now)

    def ready_at(self, tokens: float, now: float) -> float:
        """The earliest time at which such a call may start on any lane."""
        return min(lane.ready_at(tokens, now) for lane in self.all)

    def is_free(self, tokens: float, now: float, avoid: Collection[object]) -> bool:
        """Whether such a call could start now on a lane that it need not avoid."""
        return any(lane not in avoid and lane.ready_at(tokens, now) <= now for lane in self.all)

    @property
    def is_any_up(self) -> bool:
        """Whether there is a lane that calls do not keep away from."""
        return not all(lane.is_down for lane in self.all)

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return sum(lane.limiter.in_flight for lane in self.all)

    @property
    def concurrency(self) -> int:
        """How many calls may be under way now on lanes that can be used."""
        return sum(lane.limiter.concurrency for lane in self.all if lane.out is None)

    @property
    def requests(self) -> int:
        """Calls sent up to now."""
        return sum(lane.requests for lane in self.all)

    @property
    def failures(self) -> Counter[Kind]:
        """Failed calls by kind."""
        return sum((lane.failures for lane in self.all), Counter[Kind]())

    @property
    def usage(self) -> Usage:
        """What was paid; the cost is None where no lane has a price."""
        return sum((lane.usage for lane in self.all), NO_USAGE)

    def estimate(self, read: int, written: int) -> Estimate:
        """What a call of so many tokens takes at the most."""
        prices = [lane.price.usd(read, written) for lane in self.all if lane.price]
        return Estimate(read + written, max(prices) if prices else 0.0)

    def loss(self) -> str | None:
        """Why no lane can be used any more; None while one can."""
        if not all(lane.is_lost for lane in self.all):
            return None
        if len(self.all) == 1:
            return self.all[0].reason
        return "none of its servers can be used" + "".join(f"\n  {lane.name}: {lane.reason}" for lane in self.all)
