import math

from hypothesis import given
from hypothesis import strategies as st
from test_limiter_simulated import most_in_a_minute

from streamgen.llm.account import Account
from streamgen.llm.limits import Limiter, Limits

calls = st.lists(st.tuples(st.integers(1, 30_000), st.floats(0.0, 40.0), st.floats(0.0, 20.0)), min_size=1, max_size=80)


@given(calls=calls)
def test_no_minute_holds_more_than_the_limit_nor_one_call_over_it(calls: list[tuple[int, float, float]]) -> None:
    limiter, now, started = Limiter(Limits(tokens_per_minute=30_000, concurrency=100)), 0.0, []
    flights = []
    for tokens, seconds, pause_s in calls:
        now += pause_s
        while (at := limiter.ready_at(tokens, now)) > now:
            now = at
        flights.append((now + seconds, limiter.start(tokens, now), tokens))
        started.append((now, float(tokens)))
        for ends_at, pass_, used in [flight for flight in flights if flight[0] <= now]:
            limiter.answered(pass_, max(now, ends_at), used, None)
        flights = [flight for flight in flights if flight[0] > now]
    assert most_in_a_minute(started) <= 30_000


def test_a_call_counts_from_its_start_with_what_it_really_took() -> None:
    account = Account(100.0, 60.0)
    entry = account.take(10.0, 0.0)
    account.take(10.0, 1.0)
    account.settle(entry, 75.0)
    assert account.ready_at(5.0) == -math.inf
    assert account.ready_at(6.0) == 60.0
    assert account.ready_at(95.0) == 61.0
    account.take(6.0, 60.0)
    account.settle(entry, -80.0)  # it is out of the window
    assert account.ready_at(85.0) == 61.0


def test_a_call_above_the_limit_waits_for_an_empty_window() -> None:
    account = Account(100.0, 60.0)
    assert account.ready_at(1_000.0) == -math.inf
    account.take(1.0, 5.0)
    assert account.ready_at(1_000.0) == 65.0
