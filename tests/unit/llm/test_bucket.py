from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.llm.bucket import Bucket
from streamgen.llm.limits import Limiter, Limits

pauses = st.one_of(st.just(0.0), st.floats(0.0, 90.0))


def busiest(taken: list[tuple[float, float]], rate: float) -> float:
    """The most that any window of any length holds above `rate` times its length."""
    total = [0.0, *accumulate(cost for _, cost in taken)]
    lowest, worst = float("inf"), 0.0
    for number, (at, _) in enumerate(taken):
        lowest = min(lowest, total[number] - rate * at)
        worst = max(worst, total[number + 1] - rate * at - lowest)
    return worst


def starts(bucket: Bucket, costs: list[int], idle: list[float]) -> list[tuple[float, float]]:
    """Each cost as early as the bucket lets it pass, after some idle time."""
    now, taken = 0.0, list[tuple[float, float]]()
    for cost, pause in zip(costs, idle, strict=True):
        now = max(now + pause, bucket.ready_at(cost))
        bucket.take(cost, now)
        taken.append((now, cost))
    return taken


@given(
    calls=st.lists(st.tuples(st.integers(1, 3_000), pauses), min_size=1, max_size=200),
    rate=st.floats(0.5, 2_000.0),
    burst=st.integers(1, 2_000),
)
def test_no_window_sees_more_than_the_rate_and_the_burst_or_one_call(
    calls: list[tuple[int, float]], rate: float, burst: int
) -> None:
    costs = [cost for cost, _ in calls]
    taken = starts(Bucket(rate, burst), costs, [pause for _, pause in calls])
    assert busiest(taken, rate) <= max(burst, *costs, 0) * (1 + 1e-6) + 1e-3


@pytest.mark.parametrize("limit", [1, 10, 60, 600, 6_000, 60_000])
def test_a_busy_endpoint_gets_nearly_all_of_its_limit_and_no_minute_more(limit: int) -> None:
    limiter, now, at = Limiter(Limits(requests_per_minute=limit)), 0.0, list[float]()
    while len(at) <= 2 * limit:
        now = max(now, limiter.ready_at(1, now))
        limiter.answered(limiter.start(1, now), now, 1, None)
        at.append(now)
    assert all(later - sooner >= 60.0 for sooner, later in zip(at, at[limit:], strict=False))
    assert at[-1] <= 120.0 / 0.995


@given(costs=st.lists(st.integers(1, 500), min_size=1, max_size=30), settled=st.lists(st.integers(0, 500), min_size=30))
def test_tokens_given_back_leave_the_bucket_as_if_only_the_rest_was_taken(costs: list[int], settled: list[int]) -> None:
    estimated, real = Bucket(100.0, 25.0), Bucket(100.0, 25.0)
    for cost, used in zip(costs, settled, strict=False):
        estimated.take(cost, 0.0)
        estimated.adjust(used - cost, 0.0)
        real.take(used, 0.0)
    assert estimated.ready_at(1) == pytest.approx(real.ready_at(1), abs=1e-6)


def test_tokens_given_back_late_are_no_credit() -> None:
    bucket = Bucket(100.0, 25.0)
    bucket.take(100, now=0.0)
    bucket.adjust(-100, now=1_000.0)
    taken = starts(bucket, [1] * 200, [1_000.0] + [0.0] * 199)
    assert busiest(taken, 100.0) == pytest.approx(25.0, abs=1.1)


def test_a_call_above_the_burst_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    bucket = Bucket(100.0, 25.0)
    bucket.take(5_000, now=0.0)
    assert bucket.ready_at(5_000) == pytest.approx(50.0)
