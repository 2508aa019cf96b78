import math
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.llm.limits import Bucket, Limiter, Limits


def starts(bucket: Bucket, costs: list[int], idle: list[float]) -> Iterator[tuple[float, int]]:
    """Each cost as early as the bucket lets it pass, after some idle time."""
    now = 0.0
    for cost, pause in zip(costs, idle, strict=True):
        now = max(now + pause, bucket.ready_at(cost))
        bucket.take(cost, now)
        yield now, cost


def most_in_a_minute(taken: list[tuple[float, int]]) -> int:
    return max(sum(cost for at, cost in taken if start <= at < start + 60.0) for start, _ in taken)


pauses = st.one_of(st.just(0.0), st.floats(0.0, 90.0))


@given(limit=st.integers(1, 600), idle=st.lists(pauses, min_size=1, max_size=700))
def test_no_minute_sees_more_requests_than_the_limit(limit: int, idle: list[float]) -> None:
    assert most_in_a_minute(list(starts(Bucket(limit), [1] * len(idle), idle))) <= limit


@given(
    limit=st.integers(1_000, 100_000),
    calls=st.lists(st.tuples(st.integers(1, 3_000), pauses), min_size=1, max_size=100),
)
def test_no_minute_sees_more_tokens_than_the_limit_and_one_call(limit: int, calls: list[tuple[int, float]]) -> None:
    costs = [cost for cost, _ in calls]
    taken = list(starts(Bucket(limit), costs, [pause for _, pause in calls]))
    assert most_in_a_minute(taken) <= limit + max(costs)


@pytest.mark.parametrize("limit", [1, 10, 60, 600, 6_000, 60_000])
def test_a_busy_endpoint_gets_nearly_all_of_its_limit(limit: int) -> None:
    taken = list(starts(Bucket(limit), [1] * (limit + 1), [0.0] * (limit + 1)))
    assert 60.0 <= taken[-1][0] - taken[0][0] <= 61.5


@given(costs=st.lists(st.integers(1, 500), min_size=1, max_size=30), settled=st.lists(st.integers(0, 500), min_size=30))
def test_tokens_given_back_leave_the_bucket_as_if_only_the_rest_was_taken(costs: list[int], settled: list[int]) -> None:
    estimated, real = Bucket(6_000), Bucket(6_000)
    for cost, used in zip(costs, settled, strict=False):
        estimated.take(cost, 0.0)
        estimated.adjust(used - cost, 0.0)
        real.take(used, 0.0)
    assert estimated.ready_at(1) == pytest.approx(real.ready_at(1), abs=1e-6)


def test_tokens_given_back_late_are_no_credit() -> None:
    bucket = Bucket(6_000)
    bucket.take(100, now=0.0)
    bucket.adjust(-100, now=1_000.0)
    taken = list(starts(bucket, [1] * 200, [1_000.0] + [0.0] * 199))
    assert taken[25][0] > taken[0][0]  # the burst is 25 tokens, as ever


def test_a_call_above_the_burst_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    bucket = Bucket(6_000)
    bucket.take(5_000, now=0.0)
    assert bucket.ready_at(5_000) == pytest.approx(5_000 * 61 / (6_000 + 1 - 25))


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
    limiter = Limiter(Limits(concurrency=9, requests_per_minute=60, tokens_per_minute=100))
    limiter.start(100, 0.0)
    assert limiter.ready_at(1, 0.0) == pytest.approx(61.0)


def test_a_given_concurrency_is_not_adapted() -> None:
    limiter = Limiter(Limits(concurrency=8))
    limiter.refused(limiter.start(1, 0.0), 1.0, None, by_rate=False)
    assert limiter.concurrency == 8


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"concurrency": "many"}, {"requests_per_minute": 0}, {"tokens_per_minute": -1}]
)
def test_limits_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(wrong))):
        msgspec.convert(wrong, Limits)
