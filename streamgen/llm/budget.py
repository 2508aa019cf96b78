"""What a run may spend: reserved before a call is sent, settled after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

from streamgen.errors import BudgetExhausted
from streamgen.record import Usage

_Amount = Annotated[float, msgspec.Meta(ge=0)]
_Number = Annotated[int, msgspec.Meta(ge=0)]


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that a run may spend over all of its sessions; None is no limit."""

    usd: _Amount | None = None
    tokens: _Number | None = None
    requests: _Number | None = None
    minutes: _Amount | None = None


class Spent(msgspec.Struct, frozen=True):
    """What was paid, and for how long the run worked. `reserved_*` belong to calls in flight."""

    usd: float = 0.0
    tokens: int = 0
    requests: int = 0
    minutes: float = 0.0
    reserved_usd: float = 0.0
    reserved_tokens: int = 0
    reserved_requests: int = 0


class Reservation(NamedTuple):
    """What is set aside for one call until it is settled or refunded."""

    tokens: int
    usd: float


class Ledger:
    """Counts what a run spends against its budget.

    Invariant: spent + reserved never passes the budget when a call is let through, so that a run can exceed it only
    by what calls in flight cost above their estimates. Each reservation is settled or refunded once.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self.budget = budget
        self._clock = clock
        self._began = clock()
        self._earlier_minutes = 0.0
        self._usd = self._reserved_usd = 0.0
        self._tokens = self._reserved_tokens = 0
        self._requests = self._in_flight = 0

    def reserve(self, tokens_estimate: int, usd_estimate: float = 0.0) -> Reservation:
        """Set aside what a call will cost. Raises BudgetExhausted when the budget does not allow it."""
        budget, spent = self.budget, self.spent()
        if budget.minutes is not None and spent.minutes >= budget.minutes:
            raise BudgetExhausted(
                f"the budget of {budget.minutes:g} minutes is used up; raise `run.budget.minutes` and run again"
            )
        _check("usd", budget.usd, spent.usd, spent.reserved_usd, usd_estimate)
        _check("tokens", budget.tokens, spent.tokens, spent.reserved_tokens, tokens_estimate)
        _check("requests", budget.requests, spent.requests, spent.reserved_requests, 1)
        self._reserved_usd += usd_estimate
        self._reserved_tokens += tokens_estimate
        self._in_flight += 1
        return Reservation(tokens_estimate, usd_estimate)

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Replace the estimate by what the call really took."""
        self.refund(reservation)
        self._add(usage, usage.calls)

    def refund(self, reservation: Reservation) -> None:
        """Give back what was set aside for a call that cost nothing."""
        self._in_flight -= 1
        self._reserved_tokens -= reservation.tokens
        # Sums of floats drift; with nothing in flight there is nothing reserved.
        self._reserved_usd = self._reserved_usd - reservation.usd if self._in_flight else 0.0

    def restore(self, usage: Usage, requests: int, minutes: float) -> None:
        """Count what earlier sessions of the run spent."""
        self._earlier_minutes += minutes
        self._add(usage, requests)

    def spent(self) -> Spent:
        """All that was spent up to now, earlier sessions included."""
        minutes = self._earlier_minutes + (self._clock() - self._began) / 60
        return Spent(
            self._usd, self._tokens, self._requests, minutes,
            self._reserved_usd, self._reserved_tokens, self._in_flight,
        )  # fmt: skip

    def _add(self, usage: Usage, requests: int) -> None:
        self._usd += usage.cost_usd or 0.0
        self._tokens += usage.tokens
        self._requests += requests

    def __repr__(self) -> str:
        return f"<Ledger {self.spent()} of {self.budget}>"


def _check(what: str, limit: float | None, spent: float, reserved: float, estimate: float) -> None:
    if limit is None or spent + reserved + estimate <= limit:
        return
    raise BudgetExhausted(
        f"the budget of {limit:.10g} {what} does not allow one more call: {spent:.6g} spent, {reserved:.6g} reserved "
        f"for calls in flight, {estimate:.6g} needed; raise `run.budget.{what}` and run again"
    )
