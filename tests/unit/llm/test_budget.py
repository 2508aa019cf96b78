import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.errors import BudgetExhausted
from streamgen.llm.budget import Budget, Ledger
from streamgen.record import Usage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ledger(clock: Clock | None = None, **limits: float) -> Ledger:
    return Ledger(Budget(**limits), clock or Clock())  # type: ignore[arg-type]


def test_without_limits_everything_goes_through() -> None:
    assert ledger().reserve(10**9, 10.0**9).tokens == 10**9


@pytest.mark.parametrize("limit", ["usd", "tokens", "requests"])
def test_an_exhausted_budget_names_itself_and_the_way_on(limit: str) -> None:
    account = ledger(**{limit: 1})
    account.settle(account.reserve(1, 1.0), Usage(1, 0, 1, 1.0))
    with pytest.raises(BudgetExhausted, match=rf"budget of 1 {limit} .* 1 spent.*`run\.budget\.{limit}`"):
        account.reserve(1, 1.0)


def test_minutes_count_from_the_start_and_over_sessions() -> None:
    clock = Clock()
    account = ledger(clock, minutes=10)
    account.restore(Usage(calls=0), requests=0, minutes=4)
    clock.now = 359.0
    account.reserve(1)
    clock.now = 360.0
    with pytest.raises(BudgetExhausted, match=r"`run\.budget\.minutes`"):
        account.reserve(1)


def test_what_is_refunded_can_be_spent() -> None:
    account = ledger(tokens=100)
    first = account.reserve(100)
    with pytest.raises(BudgetExhausted):
        account.reserve(1)
    account.refund(first)
    account.reserve(100)


def test_restored_spending_counts() -> None:
    account = ledger(requests=10)
    account.restore(Usage(50, 50, 10, 0.5), requests=10, minutes=1.0)
    spent = account.spent()
    assert (spent.usd, spent.tokens, spent.requests, spent.minutes) == (0.5, 100, 10, 1.0)
    with pytest.raises(BudgetExhausted):
        account.reserve(0)


def test_a_budget_of_nothing_lets_no_request_through() -> None:
    with pytest.raises(BudgetExhausted):
        ledger(requests=0).reserve(0)


calls = st.tuples(st.integers(0, 300), st.floats(0.0, 3.0), st.floats(0.0, 1.0), st.booleans(), st.booleans())


@given(steps=st.lists(calls, max_size=200))
def test_a_budget_is_never_exceeded_when_no_call_costs_more_than_its_estimate(
    steps: list[tuple[int, float, float, bool, bool]],
) -> None:
    account = ledger(tokens=1_000, usd=10.0, requests=20)
    open_calls = []
    for tokens, usd, part, ends_one, is_paid in steps:
        with contextlib.suppress(BudgetExhausted):
            open_calls.append((account.reserve(tokens, usd), part))
        if ends_one and open_calls:
            reservation, part = open_calls.pop(0)
            used = Usage(int(reservation.tokens * part), 0, 1, reservation.usd * part)
            account.settle(reservation, used) if is_paid else account.refund(reservation)
        spent = account.spent()
        assert spent.tokens + spent.reserved_tokens <= 1_000
        assert spent.usd + spent.reserved_usd <= 10.0 + 1e-9
        assert spent.requests + spent.reserved_requests <= 20
        assert spent.reserved_requests == len(open_calls)


def test_the_excess_is_what_calls_in_flight_cost_above_their_estimates() -> None:
    account = ledger(tokens=100)
    flights = [account.reserve(25) for _ in range(4)]
    for flight in flights:
        account.settle(flight, Usage(40, 0))
    assert account.spent().tokens == 160
    with pytest.raises(BudgetExhausted):
        account.reserve(0)
