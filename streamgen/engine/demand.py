"""Demand: how many tickets may be in flight. A settled ticket returns its credit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from streamgen.engine.ack import Ack


class Demand:
    """Credits for the source, never more than `in_flight` out at once.

    With a quota (`missing` records still to be accepted) the credit line follows it: no more tickets are out
    than what is missing divided by the observed acceptance rate, so that the end of a run wastes little.
    The rate starts from one imagined ticket that was accepted, and is moved by every one that ends.
    """

    def __init__(self, in_flight: int, missing: int | None = None) -> None:
        if in_flight < 1:
            raise ValueError(f"in_flight is {in_flight}; at least 1 ticket must be allowed out")
        self.in_flight, self.missing = in_flight, missing
        self.outstanding = self.issued = self.settled_tickets = self.accepted = 0
        self.is_closed = False
        self._waiter: asyncio.Future[None] | None = None
        self.on_settled: Callable[[Sequence[Ack]], None] | None = None
        self.on_over: Callable[[], None] | None = None  # may be called again and again

    def __repr__(self) -> str:
        missing = "" if self.missing is None else f", {self.missing} missing"
        return f"<Demand {self.outstanding}/{self.line} tickets out{missing}>"

    @property
    def is_over(self) -> bool:
        """Whether no more tickets are wanted: enough was accepted, or the run is being stopped."""
        return self.is_closed or self.missing == 0

    @property
    def acceptance_rate(self) -> float:
        """Accepted records for each settled ticket; above 1 where stages fan out."""
        return (self.accepted + 1) / (self.settled_tickets + 1)

    @property
    def line(self) -> int:
        """Tickets that may be out now.

        As many as bring what is missing at the acceptance rate that will be seen if all of them are accepted: drops
        are known before acceptances, which have stages to pass still, so that the plain rate would be too low and
        ask for surplus. With n out, accepted + mean * n over settled + n is that rate, and n = missing / rate.
        """
        if self.missing is None:
            return self.in_flight
        mean = max(1.0, self.accepted / self.settled_tickets) if self.settled_tickets else 1.0
        half = (self.accepted + 1 - self.missing) / (2 * mean)
        root = math.sqrt(half**2 + self.missing * (self.settled_tickets + 1) / mean)
        return min(self.in_flight, math.ceil(root - half))

    async def take(self, limit: int) -> int:
        """1 to `limit` credits, as soon as there are any; 0 once the demand is met or closed."""
        while not self.is_over:
            if (free := self.line - self.outstanding) > 0:
                taken = min(free, limit)
                self.outstanding += taken
                self.issued += taken
                return taken
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            if self.line < self.in_flight:  # the quota is near: let the sink count what comes along with a drop
                await asyncio.sleep(0)
        return 0

    def give_back(self, credits: int) -> None:
        """Return credits that no ticket was issued for."""
        if credits:
            self.outstanding -= credits
            self.issued -= credits
            self._wake()

    def accept(self, records: int) -> None:
        """Records were accepted: fewer are missing."""
        self.accepted += records
        if self.missing is not None:
            self.missing = max(0, self.missing - records)
            self._wake()

    def settled(self, acks: Sequence[Ack]) -> None:
        """Tickets ended: their credits are free."""
        self.outstanding -= len(acks)
        self.settled_tickets += len(acks)
        if self.on_settled is not None:
            self.on_settled(acks)
        self._wake()

    def close(self) -> None:
        """Give no more credits: what is out is drained."""
        self.is_closed = True
        self._wake()

    def _wake(self) -> None:
        is_over = self.is_over
        if is_over and self.on_over is not None:
            self.on_over()
        # The line never passes `in_flight`: mostly there is no need to work it out.
        has_free = self._waiter is not None and self.outstanding < self.in_flight and self.line > self.outstanding
        if self._waiter is not None and (is_over or has_free):
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None
