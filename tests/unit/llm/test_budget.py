import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.errors import BudgetExhausted, RecipeError
from streamgen.llm.budget import Budget, Ledger, Reservation
from streamgen.llm.spend import Account, Spend
from streamgen.recipe import Recipe
from streamgen.record import Usage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ledger(clock: Clock | None = None, **limits: float) -> Ledger:
    return Ledger(Budget(**limits), clock or Clock())  # type: ignore[arg-type]


async def reserve(account: Ledger, tokens: int = 1, usd: float = 0.0, *, priority: int = 0) -> Reservation:
    cost = Reservation(tokens, usd)
    return cost if account.take(cost) else await account.turn(lambda: cost, priority)


async def settled() -> None:
    """Let everybody who can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


ANY = Account("main", "a")


async def test_without_limits_everything_goes_through() -> None:
    assert (await reserve(ledger(), 10**9, 10.0**9)).tokens == 10**9


@pytest.mark.parametrize("limit", ["usd", "tokens", "requests"])
async def test_an_exhausted_budget_names_itself_and_the_way_on(limit: str) -> None:
    account = ledger(**{limit: 1})
    account.settle(await reserve(account, 1, 1.0), ANY, Usage(1, 0, 1, 1.0))
    with pytest.raises(BudgetExhausted, match=rf"budget of 1 {limit} .* 1 spent, 1 needed.*`run\.budget\.{limit}`"):
        await reserve(account, 1, 1.0)


async def test_minutes_count_from_the_start_and_over_sessions() -> None:
    clock = Clock()
    account = ledger(clock, minutes=10)
    account.restore((), minutes=4)
    clock.now = 359.0
    assert account.seconds_left() == 1.0
    await reserve(account)
    clock.now = 360.0
    assert (account.seconds_left(), account.spent().minutes) == (0.0, 10.0)
    with pytest.raises(BudgetExhausted, match=r"`run\.budget\.minutes`"):
        await reserve(account)


async def test_what_is_refunded_can_be_spent() -> None:
    account = ledger(tokens=100)
    first = await reserve(account, 100)
    account.refund(first)
    assert await reserve(account, 100) == first


async def test_restored_spending_counts_by_model_and_stage() -> None:
    account = ledger(requests=10)
    account.restore([Spend("main", "a", 6, 0, 6, 50, 40, 0.5), Spend("main", "b", 3, 1, 4, 5, 5, 0.25)], minutes=1.0)
    spent = account.spent()
    assert (spent.usd, spent.tokens, spent.requests, spent.minutes) == (0.75, 100, 10, 1.0)
    assert [(spend.stage, spend.requests, spend.useless) for spend in account.spends()] == [("a", 6, 0), ("b", 4, 1)]
    with pytest.raises(BudgetExhausted):
        await reserve(account, 0)


@pytest.mark.parametrize("limit", ["tokens", "requests", "minutes"])
async def test_a_budget_of_nothing_lets_no_request_through(limit: str) -> None:
    account = ledger(**{limit: 0})
    with pytest.raises(BudgetExhausted, match="budget of 0"):
        await account.turn(lambda: Reservation(100, 0.0, is_guess=True))


async def test_what_costs_nothing_needs_no_money() -> None:
    assert (await reserve(ledger(usd=0.0), 10, 0.0)).usd == 0.0


async def test_ten_times_a_tenth_is_one() -> None:
    account = ledger(usd=1.0)
    for _ in range(10):
        account.settle(await reserve(account, 1, 0.1), ANY, Usage(1, 0, 1, 0.1))
    with pytest.raises(BudgetExhausted):
        await reserve(account, 1, 0.1)


async def test_who_does_not_fit_waits_for_what_calls_in_flight_leave() -> None:
    account = ledger(tokens=100)
    first, second = await reserve(account, 50), await reserve(account, 50)
    async with asyncio.TaskGroup() as group:
        third = group.create_task(reserve(account, 60))
        await settled()
        account.settle(first, ANY, Usage(30, 0))
        await settled()
        assert not third.done()
        account.settle(second, ANY, Usage(10, 0))
        await settled()
        assert third.result().tokens == 60


async def test_who_waits_is_refused_when_nothing_in_flight_can_leave_enough() -> None:
    account = ledger(tokens=100)
    first = await reserve(account, 90)
    waiting = asyncio.ensure_future(reserve(account, 20))
    await settled()
    assert not waiting.done()
    account.settle(first, ANY, Usage(81, 0))
    with pytest.raises(BudgetExhausted, match="81 spent, 20 needed"):
        await waiting


async def test_nobody_waits_for_a_budget_that_is_spent_already() -> None:
    account = ledger(tokens=100)
    first = await reserve(account, 10)
    account.settle(await reserve(account, 90), ANY, Usage(200, 0))
    with pytest.raises(BudgetExhausted, match="200 spent, 10 reserved for calls in flight"):
        await reserve(account)
    account.refund(first)


async def test_work_in_progress_goes_first_and_newcomers_wait_behind_it() -> None:
    account = ledger(tokens=100)
    first = await reserve(account, 100)
    order: list[str] = []

    async def queue(name: str, tokens: int, priority: int) -> None:
        await reserve(account, tokens, priority=priority)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for name, tokens, priority in (("early", 10, 0), ("later stage", 60, 1), ("small", 1, 0)):
            group.create_task(queue(name, tokens, priority))
            await settled()
        account.settle(first, ANY, Usage(25, 0))
        await settled()
        assert order == ["later stage", "early", "small"]


async def test_whoever_stops_waiting_leaves_nothing_behind() -> None:
    account = ledger(tokens=100)
    first = await reserve(account, 100)
    waiting, behind = (asyncio.ensure_future(reserve(account, tokens)) for tokens in (80, 20))
    await settled()
    account.settle(first, ANY, Usage(10, 0))  # grants the first of them, which is cancelled before it wakes up
    waiting.cancel()
    await settled()
    assert waiting.cancelled() and behind.result().tokens == 20
    assert account.spent().reserved_tokens == 20
    late = asyncio.ensure_future(reserve(account, 90))
    await settled()
    late.cancel()
    await settled()
    assert account.take(Reservation(70))


async def test_a_guess_that_does_not_fit_is_let_through_alone_to_learn_from() -> None:
    account = ledger(tokens=100)
    expected = Reservation(4096, 0.0, is_guess=True)
    assert account.take(expected)
    others = [asyncio.ensure_future(account.turn(lambda: expected)) for _ in range(5)]
    await settled()
    assert account.spent().reserved_requests == 1
    first, expected = expected, Reservation(30)
    account.settle(first, ANY, Usage(25, 5))
    await settled()
    assert [other.done() for other in others] == [True, True, False, False, False]
    for other in others[:2]:
        account.settle(other.result(), ANY, Usage(25, 5))
    await settled()
    assert [isinstance(other.exception(), BudgetExhausted) for other in others[2:]] == [True] * 3


calls = st.tuples(st.integers(0, 300), st.floats(0.0, 3.0), st.floats(0.0, 1.0), st.booleans(), st.booleans())


@given(steps=st.lists(calls, max_size=200))
def test_a_budget_is_never_exceeded_when_no_call_costs_more_than_its_estimate(
    steps: list[tuple[int, float, float, bool, bool]],
) -> None:
    account = ledger(tokens=1_000, usd=10.0, requests=20)
    open_calls = []
    for tokens, usd, part, ends_one, is_paid in steps:
        if account.take(reservation := Reservation(tokens, usd)):
            open_calls.append((reservation, part))
        if ends_one and open_calls:
            reservation, part = open_calls.pop(0)
            used = Usage(int(reservation.tokens * part), 0, 1, reservation.usd * part)
            account.settle(reservation, ANY, used) if is_paid else account.refund(reservation)
        spent = account.spent()
        assert spent.tokens + spent.reserved_tokens <= 1_000
        assert spent.usd is not None and spent.usd + spent.reserved_usd <= 10.0 + 1e-7
        assert spent.requests + spent.reserved_requests <= 20
        assert spent.reserved_requests == len(open_calls)


async def test_the_excess_is_what_calls_in_flight_cost_above_their_estimates() -> None:
    account = ledger(tokens=100)
    flights = [await reserve(account, 25) for _ in range(4)]
    for flight in flights:
        account.settle(flight, ANY, Usage(40, 0))
    assert account.spent().tokens == 160
    with pytest.raises(BudgetExhausted):
        await reserve(account, 0)


@pytest.mark.parametrize(
    ("costs", "usd", "unpriced"), [([], 0.0, 0), ([None, None], None, 2), ([0.5, None], 0.5, 1), ([0.0, 0.0], 0.0, 0)]
)
async def test_an_unknown_price_is_not_nothing(costs: list[float | None], usd: float | None, unpriced: int) -> None:
    account = ledger()
    for cost in costs:
        account.settle(await reserve(account), account.account("main", "a"), Usage(1, 1, 1, cost))
    assert (account.spent().usd, account.spent().unpriced) == (usd, unpriced)
    assert [(spend.usd, spend.unpriced) for spend in account.spends()] == [(usd, unpriced)][: len(costs)]


@pytest.mark.parametrize(
    ("unit", "amount"),
    [("usd", -1), ("usd", math.nan), ("usd", "much"), ("tokens", -1), ("requests", 1.5), ("hours", 1)],
)
def test_a_budget_that_is_none_is_told_with_its_place(unit: str, amount: object) -> None:
    raw = {
        "models": {"main": {"base_url": "http://127.0.0.1:1/v1", "model": "x", "price": {"input": 1.0}}},
        "source": {"type": "list", "rows": [{"n": 1}]},
        "run": {"budget": {unit: amount}},
    }
    with pytest.raises(RecipeError, match=rf"\$\.run\.budget\.{unit}|unknown .*'hours'"):
        Recipe.parse(raw)
