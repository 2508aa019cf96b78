import math

from streamgen.llm.limits import Limiter, Limits
from streamgen.llm.told import Told
from streamgen.llm.windows import BELIEVED_S, Window


def test_a_fixed_window_gives_nothing_back_before_its_reset() -> None:
    window = Window()
    window.tell(100, 10, 30.0, 0, now=0.0)
    window.tell(100, 2, 20.0, 0, now=10.0)
    assert window.ready_at(2) == -math.inf
    assert window.ready_at(3) == 30.0


def test_a_rolling_window_earns_while_it_waits() -> None:
    window = Window()
    window.tell(100, 20, 8.0, 0, now=0.0)  # 10 a second
    window.tell(100, 0, 10.0, 0, now=1.0)  # whole at 11 instead of 8: it moves away
    assert window.ready_at(5) == 1.5


def test_calls_that_the_server_has_not_seen_yet_are_taken_off() -> None:
    window = Window()
    window.tell(100, 10, 30.0, since=8, now=0.0)
    assert window.ready_at(3) == 30.0
    window.give_back(1)
    assert window.ready_at(3) == -math.inf


def test_a_reset_of_a_year_costs_one_call_a_minute() -> None:
    window, now, sent = Window(), 0.0, 0
    while now < 3_600.0:
        window.tell(100, 0, 365 * 86_400.0, 0, now)
        now = max(now, window.ready_at(1))
        window.take(1, now)
        sent += 1
        assert window.ready_at(1) == now + BELIEVED_S
    assert sent == 60


def test_nonsense_from_a_server_never_stops_the_run() -> None:
    for limit, remaining, reset_s in [
        (-1.0, -5.0, -30.0), (0.0, 0.0, 0.0), (math.nan, math.nan, math.nan), (math.inf, math.inf, math.inf),
        (5.0, 0.0, math.inf), (None, 0.0, None), (5.0, None, 60.0), (5.0, 50.0, 1e300), (1e-300, 0.0, 1e-300),
    ]:  # fmt: skip
        window = Window()
        for now in (0.0, 1.0, 5.0):
            window.tell(limit, remaining, reset_s, 0, now)
            assert window.ready_at(1) <= now + BELIEVED_S


def test_of_the_server_and_the_user_the_tighter_one_is_believed() -> None:
    generous = Told(limit_requests=1e6, remaining_requests=1e6, reset_requests_s=0.0)
    limiter = Limiter(Limits(requests_per_minute=1))
    limiter.answered(limiter.start(1, 0.0), 0.1, 1, generous)
    assert limiter.ready_at(1, 0.1) > 59.0
    strict = Told(limit_tokens=100.0, remaining_tokens=5.0, reset_tokens_s=40.0)
    limiter = Limiter(Limits(tokens_per_minute=1e6))
    limiter.answered(limiter.start(1, 0.0), 1.0, 1, strict)
    assert limiter.ready_at(5, 1.0) <= 1.0
    assert limiter.ready_at(6, 1.0) == 41.0
