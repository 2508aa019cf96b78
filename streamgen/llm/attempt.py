"""A call on its way: what was tried, what it has cost, and where and when it is tried next."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

import msgspec

from streamgen.llm.lane import Lane
from streamgen.llm.lanes import Lanes
from streamgen.llm.line import Waiter
from streamgen.llm.model import Request, Response
from streamgen.llm.price import Estimate
from streamgen.llm.retry import PAID, CallError, RetryPolicy, Tries
from streamgen.llm.tokens import Expected
from streamgen.record import NO_USAGE, Usage

Afford: TypeAlias = Callable[[Estimate], bool]
"""Asked before a second request is sent: whether the budget allows it. True sets that much aside for the call."""


class Attempt:
    """One call, from its arrival to its end.

    `paid` is the usage of requests that brought nothing of use; `lane` is where the last one failed, after `took_s`.
    """

    # Most calls meet no trouble: what only the others need is not set for each.
    paid = NO_USAGE
    lane: Lane | None = None
    took_s = 0.0
    is_answered = False
    _tries: Tries | None = None
    _down: tuple[Lane, ...] = ()  # where a failure was no try
    _useless = 0

    def __init__(self, request: Request, expected: Expected, place: Waiter, afford: Afford | None = None) -> None:
        self.request, self.expected, self.place, self.afford = request, expected, place, afford

    def failed(self, lane: Lane, took_s: float, error: CallError) -> None:
        """A request of this call failed."""
        self.lane, self.took_s = lane, took_s
        self.paid += error.usage

    def cut(self, lane: Lane) -> None:
        """A request of this call was cut off; where the other one had answered, about what it takes was spent."""
        if self.is_answered:
            _, read, written = self.expected
            self.paid += lane.pay(Usage(read, written))

    def affords(self, lanes: Lanes) -> bool:
        """Whether the budget allows a second request."""
        _, read, written = self.expected
        return self.afford is None or self.afford(lanes.estimate(read, written))

    def total(self, response: Response) -> Response:
        """The response with all that was paid for it."""
        if not self.paid.calls:
            return response
        return msgspec.structs.replace(response, usage=response.usage + self.paid)

    def wait_s(self, error: CallError, lanes: Lanes, policy: RetryPolicy, rng: Random, now: float) -> float | None:
        """Seconds until the next try; None to give up.

        A failure at a lane that is down counts as no try of this call while another lane is up. One that can be
        tried elsewhere at once does not wait. Refused calls wait for the limits alone, where these hold them back.
        """
        lane, self.lane = self.lane, None
        if lane is None or self._moves_on(lane, lanes):
            return 0.0
        self._tries = self._tries or Tries(policy, rng, self.place.arrived)
        if error.kind in PAID:
            self._useless += 1
            self.request = _asked_anew(self.request, self._useless)
        place = self.place
        if lane.is_down:  # all in line take turns in probing it: no call uses up its tries on the others' behalf
            place.rejoin(now)
        place.avoid = (*place.avoid, lane)
        is_elsewhere = lanes.is_free(place.tokens, now, place.avoid)
        is_paced = is_elsewhere or lane.ready_at(place.tokens, now) > now
        wait_s = self._tries.wait_s(error, now, took_s=self.took_s, is_paced=is_paced)
        if wait_s is None:
            return None
        if is_elsewhere and error.kind not in PAID:
            return 0.0
        place.avoid = (lane,)
        return wait_s

    def _moves_on(self, lane: Lane, lanes: Lanes) -> bool:
        if lane.out is not None:
            return True
        if not lane.is_down or lane in self._down or not lanes.is_any_up:
            return False
        self._down = (*self._down, lane)
        return True


def hedged(request: Request) -> Request:
    """The request under another key: a server that knows the first key would answer both at once, when it does.

    After a crash the call is asked again under its own key, so that an answer to the first request is not lost.
    """
    key = request.idempotency_key
    return msgspec.structs.replace(request, idempotency_key=f"{key}-h") if key else request


def _asked_anew(request: Request, time: int) -> Request:
    """The same request with the next seed and another key: with the same ones, the answer may be the same."""
    seed, key = request.seed, request.idempotency_key
    return msgspec.structs.replace(
        request,
        seed=None if seed is None else (seed + 1) & 0x7FFF_FFFF,
        idempotency_key=f"{key.removesuffix(f'-r{time - 1}')}-r{time}" if key else "",
    )
