"""What a run may spend: reserved before a call is sent, settled after it."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Iterable
from itertools import count
from typing import Annotated, NamedTuple

import msgspec

from streamgen.errors import BudgetExhausted
from streamgen.llm.price import Estimate
from streamgen.llm.spend import Account, Spend, known, unpriced
from streamgen.record import Usage

_Amount = Annotated[float, msgspec.Meta(ge=0)]
_Number = Annotated[int, msgspec.Meta(ge=0)]

_ROUNDING = 1 + 1e-9  # ten calls of 0.1 fit into 1.0, whatever their floating sum is


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that a run may spend over all of its sessions; None is no limit."""

    usd: _Amount | None = None
    tokens: _Number | None = None
    requests: _Number | None = None
    minutes: _Amount | None = None


class Spent(msgspec.Struct, frozen=True):
    """What was paid, and for how long the run worked. `reserved_*` belong to calls in flight.

    `usd` leaves out the `unpriced` requests, whose price nobody knows, and is None where there are no others.
    """

    usd: float | None = 0.0
    tokens: int = 0
    requests: int = 0
    minutes: float = 0.0
    reserved_usd: float = 0.0
    reserved_tokens: int = 0
    reserved_requests: int = 0
    unpriced: int = 0


class Reservation(NamedTuple):
    """What is set aside for one call until it is settled or refunded.

    It is a guess before the first answer to its like: then it may be far too high.
    """

    tokens: int = 0
    usd: float = 0.0
    is_guess: bool = False


Expect = Callable[[], Reservation]
"""What a call will cost, as well as it is known now."""


class _Waiter(NamedTuple):
    """A call that waits for what calls in flight leave of their reservations."""

    expect: Expect
    granted: asyncio.Future[Reservation]


class Ledger:
    """Counts what a run spends, by model and stage, against its budget.

    Invariant: spent + reserved never passes the budget when a call is let through, so that a run can exceed it only
    by what calls in flight cost above their estimates. Each reservation is settled or refunded once.

    A call that does not fit waits in line, higher priority first, while calls in flight may leave something of their
    reservations; it is refused when none is in flight, or nothing is left. A mere guess refuses nobody: where nothing
    else is in flight, one such call is let through, to learn from.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self.budget = budget
        self.is_open = budget == Budget()  # whether nothing is bounded
        self.weighs = budget.usd is not None or budget.tokens is not None  # whether estimates are needed at all
        self._clock, self._began = clock, clock()
        self._earlier_minutes = 0.0
        self._ends_at = _limit(budget.minutes) * 60 + self._began
        self._usd_limit = _limit(budget.usd) * _ROUNDING
        self._tokens_limit, self._requests_limit = _limit(budget.tokens), _limit(budget.requests)
        self._usd = self._reserved_usd = 0.0
        self._tokens = self._reserved_tokens = 0
        self._requests = self._in_flight = self._unpriced = 0
        self._accounts: dict[tuple[str, str], Account] = {}
        self._line: list[tuple[int, int, _Waiter]] = []
        self._numbers = count()

    def account(self, model: str, stage: str) -> Account:
        """Where the spending of this stage on this model is counted."""
        account = self._accounts.get((model, stage))
        if account is None:
            account = self._accounts[model, stage] = Account(model, stage)
        return account

    def take(self, expected: Reservation) -> bool:
        """Set aside what a call will cost, if that can be had at once."""
        if self.is_open:
            self._in_flight += 1
            return True
        if self._line or not self._has_room(expected):
            return False
        self._set_aside(expected)
        return True

    async def turn(self, expect: Expect, priority: int = 0) -> Reservation:
        """Wait for what could not be had at once. Raises BudgetExhausted when the budget does not allow it."""
        waiter = _Waiter(expect, asyncio.get_running_loop().create_future())
        heapq.heappush(self._line, (-priority, next(self._numbers), waiter))
        self._dispatch()
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            self._left(waiter.granted)
            raise

    def settle(self, reservation: Reservation, account: Account, usage: Usage) -> None:
        """Replace the estimate by what the call really took; its answer is of use."""
        account.paid(usage, 1)
        self._add(usage)
        self.refund(reservation)

    def settle_useless(self, reservation: Reservation, account: Account, usage: Usage) -> None:
        """The same for a call that was paid for in vain."""
        account.paid(usage, 0)
        self._add(usage)
        self.refund(reservation)

    def refund(self, reservation: Reservation) -> None:
        """Give back what was set aside: for those who wait, if there are any."""
        self._in_flight -= 1
        self._reserved_tokens -= reservation.tokens
        # Sums of floats drift; with nothing in flight there is nothing reserved.
        self._reserved_usd = self._reserved_usd - reservation.usd if self._in_flight else 0.0
        if self._line:
            self._dispatch()

    def restore(self, spends: Iterable[Spend], minutes: float) -> None:
        """Count what earlier sessions of the run spent."""
        self._earlier_minutes += minutes
        self._ends_at -= 60 * minutes
        for spend in spends:
            self.account(spend.model, spend.stage).add(spend)
            self._usd += spend.usd or 0.0
            self._tokens += spend.tokens
            self._requests += spend.requests
            self._unpriced += spend.unpriced

    def spent(self) -> Spent:
        """All that was spent up to now, earlier sessions included."""
        minutes = self._earlier_minutes + (self._clock() - self._began) / 60
        return Spent(
            known(self._usd, self._requests, self._unpriced), self._tokens, self._requests, minutes,
            self._reserved_usd, self._reserved_tokens, self._in_flight, self._unpriced,
        )  # fmt: skip

    def spends(self) -> list[Spend]:
        """The same by model and stage."""
        return [self._accounts[key].report() for key in sorted(self._accounts)]

    def seconds_left(self) -> float:
        """How long the run may go on; infinity where minutes are not bounded."""
        return max(0.0, self._ends_at - self._clock())

    def out_of_time(self) -> BudgetExhausted:
        """Why a run ends whose minutes are used up."""
        return BudgetExhausted(
            f"the budget of {self.budget.minutes:g} minutes is used up; raise `run.budget.minutes` and run again"
        )

    def _has_room(self, cost: Reservation) -> bool:
        return self._fits(cost) or (cost.is_guess and not self._in_flight and not self._is_spent(cost))

    def _fits(self, cost: Reservation) -> bool:
        return (
            self._tokens + self._reserved_tokens + cost.tokens <= self._tokens_limit
            and self._usd + self._reserved_usd + cost.usd <= self._usd_limit
            and self._requests + self._in_flight < self._requests_limit
            and not self._is_late()
        )

    def _is_spent(self, cost: Reservation) -> bool:
        """Whether nothing is left, whatever calls in flight will cost."""
        return (
            self._tokens >= self._tokens_limit
            or (cost.usd > 0 and self._usd >= self._usd_limit)
            or self._requests >= self._requests_limit
            or self._is_late()
        )

    def _is_late(self) -> bool:
        return self._ends_at < math.inf and self._clock() >= self._ends_at

    def _set_aside(self, cost: Reservation) -> None:
        self._reserved_usd += cost.usd
        self._reserved_tokens += cost.tokens
        self._in_flight += 1

    def _add(self, usage: Usage) -> None:
        self._usd += usage.cost_usd or 0.0
        self._tokens += usage.tokens
        self._requests += usage.calls
        self._unpriced += unpriced(usage)

    def _dispatch(self) -> None:
        """Let through or refuse those who wait, in their order, until one has to wait on."""
        while self._line:
            waiter = self._line[0][2]
            if not waiter.granted.done():
                cost = waiter.expect()
                if self._has_room(cost):
                    self._set_aside(cost)
                    waiter.granted.set_result(cost)
                elif self._in_flight and not self._is_spent(cost):
                    return
                else:
                    waiter.granted.set_exception(self._refusal(cost))
            heapq.heappop(self._line)

    def _left(self, granted: asyncio.Future[Reservation]) -> None:
        """Somebody waits no more."""
        if granted.cancelled():
            self._dispatch()
        elif granted.exception() is None:
            self.refund(granted.result())

    def _refusal(self, cost: Reservation) -> BudgetExhausted:
        if self._is_late():
            return self.out_of_time()
        budget = self.budget
        for what, limit, spent, reserved, needed in (
            ("tokens", budget.tokens, self._tokens, self._reserved_tokens, cost.tokens),
            ("usd", budget.usd, self._usd, self._reserved_usd, cost.usd),
            ("requests", budget.requests, self._requests, self._in_flight, 1),
        ):
            if limit is not None and spent + reserved + needed > limit * _ROUNDING:
                return _refused(what, limit, spent, reserved, needed)
        raise AssertionError("what fits is not refused")

    def __repr__(self) -> str:
        return f"<Ledger {self.spent()} of {self.budget}, {len(self._line)} wait>"


class Seconds:
    """What is set aside for the second requests of a call, beside its own reservation, until the call has ended."""

    __slots__ = ("_held", "_ledger")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: tuple[Reservation, ...] = ()

    def __call__(self, estimate: Estimate) -> bool:
        """Whether the budget has that much left; then it is set aside. Calls that wait for the budget go first."""
        more = Reservation(estimate.tokens, estimate.usd)
        if not self._ledger.take(more):
            return False
        self._held = (*self._held, more)
        return True

    def refund(self) -> None:
        """The call has ended and was settled: what its requests took is counted."""
        for more in self._held:
            self._ledger.refund(more)


def _limit(amount: float | None) -> float:
    return math.inf if amount is None else amount


def _refused(what: str, limit: float, spent: float, reserved: float, needed: float) -> BudgetExhausted:
    in_flight = f"{reserved:.6g} reserved for calls in flight, " if reserved else ""
    return BudgetExhausted(
        f"the budget of {limit:.10g} {what} does not allow one more call: {spent:.6g} spent, {in_flight}"
        f"{needed:.6g} needed; raise `run.budget.{what}` and run again"
    )
