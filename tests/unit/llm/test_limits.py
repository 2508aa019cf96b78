import math

import msgspec
import pytest

from streamgen.llm.limits import Limiter, Limits
from streamgen.llm.told import Told


def test_concurrency_is_a_hard_cap() -> None:
    limiter = Limiter(Limits(concurrency=2))
    first = limiter.start(1, 0.0)
    assert limiter.ready_at(1, 0.0) <= 0.0
    limiter.start(1, 0.0)
    assert limiter.ready_at(1, 0.0) == math.inf
    limiter.answered(first, 0.0, 1, None)
    assert limiter.ready_at(1, 0.0) <= 0.0


def test_a_withdrawn_call_leaves_no_trace() -> None:
    limiter = Limiter(Limits(concurrency=1, requests_per_minute=1, tokens_per_minute=100))
    limiter.withdraw(limiter.start(500, 0.0), 0.0)
    assert limiter.in_flight == 0
    assert limiter.ready_at(500, 0.0) <= 0.0


def test_the_tightest_limit_decides() -> None:
    limiter = Limiter(Limits(concurrency=9, requests_per_minute=60, tokens_per_minute=60))
    limiter.start(60, 0.0)
    assert 59.0 < limiter.ready_at(1, 0.0) < 63.0


def test_a_call_that_used_more_than_it_reserved_makes_the_next_one_wait() -> None:
    limiter = Limiter(Limits(tokens_per_minute=6_000))
    limiter.answered(limiter.start(1, 0.0), 0.0, 3_000, None)
    assert limiter.ready_at(1, 0.0) == pytest.approx(3_000 / 100 - 10, abs=2.0)  # at the rate, less a burst


def test_a_given_concurrency_is_not_adapted() -> None:
    limiter = Limiter(Limits(concurrency=8))
    limiter.refused(limiter.start(1, 0.0), 1.0, None, by_rate=False)
    assert limiter.concurrency == 8


def test_a_clock_that_jumps_back_moves_what_waits_with_it() -> None:
    limiter = Limiter(Limits(requests_per_minute=1))
    limiter.start(1, 10_000.0)
    assert limiter.ready_at(1, 10_000.0) == pytest.approx(10_060.0, abs=0.5)
    assert limiter.ready_at(1, 0.0) == pytest.approx(60.0, abs=0.5)


def test_a_refused_call_may_stand_in_line_again_at_once_while_others_pass() -> None:
    limiter = Limiter(Limits())
    passes = [limiter.start(1, 0.0) for _ in range(5)]
    limiter.answered(passes[0], 0.1, 1, None)
    limiter.refused(passes[1], 0.1, Told(retry_after_s=30.0), by_rate=True)
    assert limiter.ready_at(1, 0.1) < 0.2


def test_everybody_stops_for_the_time_told_when_nothing_passes_any_more() -> None:
    limiter, now, refusals = Limiter(Limits(concurrency=1)), 0.1, 0
    limiter.answered(limiter.start(1, 0.0), 0.1, 1, None)
    again_at = now
    while again_at < now + 15.0:
        now = max(now, limiter.ready_at(1, now)) + 0.02
        limiter.refused(limiter.start(1, now - 0.02), now, Told(retry_after_s=30.0), by_rate=True)
        again_at = limiter.ready_at(1, now)
        refusals += 1
    assert again_at == pytest.approx(now + 30.0, abs=0.03)
    assert refusals <= 10


def test_a_refusal_that_is_followed_by_an_answer_stops_nobody() -> None:
    limiter, now = Limiter(Limits(concurrency=1)), 0.0
    for number in range(60):
        now = max(now, limiter.ready_at(1, now))
        pass_ = limiter.start(1, now)
        now += 0.001
        if number % 3:
            limiter.refused(pass_, now, Told(retry_after_s=1.0), by_rate=True)
            assert limiter.ready_at(1, now) < now + 0.5
        else:
            limiter.answered(pass_, now, 1, None)


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"concurrency": "many"}, {"requests_per_minute": 0}, {"tokens_per_minute": -1}]
)
def test_limits_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(wrong))):
        msgspec.convert(wrong, Limits)


def test_what_is_known_of_the_limits_is_told() -> None:
    assert Limiter(Limits()).rate_per_s is None
    assert Limiter(Limits(requests_per_minute=600)).rate_per_s == 10.0
    limiter = Limiter(Limits(requests_per_minute=600))
    assert limiter.left == (None, None)
    told = Told(limit_requests=10.0, remaining_requests=4.0, reset_requests_s=30.0)
    limiter.answered(limiter.start(1, 0.0), 0.1, 1, told)
    assert limiter.left == (4.0, None)
    limiter.start(1, 1.0)
    assert limiter.left == (3.0, None)
    limiter.start(1, 40.0)
    assert limiter.left == (None, None)


def test_a_learned_rate_is_told() -> None:
    limiter = Limiter(Limits())
    for at in (0.0, 0.2, 0.4):
        limiter.refused(limiter.start(1, at), at + 0.1, None, by_rate=True)
    assert limiter.rate_per_s is not None and limiter.rate_per_s < 11.0
