"""The figures that the limiter has to reach, against servers of every kind, on virtual time."""

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Literal, NamedTuple

import pytest
from simulated_servers import (
    Batching,
    Cap,
    FixedWindows,
    Idle,
    Mean,
    Queue,
    RollingWindow,
    Status,
    TokenBucket,
    Trace,
    drive,
)  # fmt: skip

from streamgen.llm.limits import Limits


def log_normal(median: float, sigma: float) -> Iterator[float]:
    rng = Random(1)
    while True:
        yield median * math.exp(sigma * rng.gauss(0, 1))


def most_in_a_minute(counted: list[tuple[float, float]]) -> float:
    counted = sorted(counted)
    first, total, most = 0, 0.0, 0.0
    for at, tokens in counted:
        total += tokens
        while counted[first][0] <= at - 60.0:
            total -= counted[first][1]
            first += 1
        most = max(most, total)
    return most


@pytest.mark.parametrize("late_s", [0.0, 0.002])
@pytest.mark.parametrize("refusal_s", [0.001, 0.02])
@pytest.mark.parametrize("seconds", [0.001, 0.02])
@pytest.mark.parametrize("concurrency", ["auto", 64])
def test_an_untold_rate_is_reached_with_few_refusals(
    late_s: float, refusal_s: float, seconds: float, concurrency: Literal["auto"] | int
) -> None:
    jitter = Random(5)
    server = TokenBucket(lambda now: 100.0, burst=10.0, refusal_s=refusal_s)
    travel_s = lambda: jitter.random() * late_s  # noqa: E731
    limits = Limits(concurrency=concurrency)
    trace = drive(server, 3_000, limits=limits, seconds=seconds, late_s=late_s, workers=64, travel_s=travel_s)
    assert 2_990 / trace.wall_s >= 0.98 * 100
    assert trace.refused_share < 0.02


@pytest.mark.parametrize("rate", [20.0, 120.0, 437.0])
@pytest.mark.parametrize("burst", [10.0, 50.0])
@pytest.mark.parametrize("seconds", [0.005, 0.1])
@pytest.mark.parametrize("refusal_s", [0.001, 0.05])
def test_any_untold_rate_is_reached(rate: float, burst: float, seconds: float, refusal_s: float) -> None:
    calls = int(30 * rate)
    trace = drive(TokenBucket(lambda now: rate, burst, refusal_s), calls, seconds=seconds)
    share = (calls - burst) / trace.wall_s / rate
    assert share >= (0.95 if rate * seconds > 20 else 0.97)  # slow start up to so many in flight takes its time
    assert len(trace.refusals) < 100 + 0.01 * calls


def test_an_untold_rate_is_found_under_heavy_tails_too() -> None:
    trace = drive(TokenBucket(lambda now: 100.0, burst=10.0), 6_000, seconds=log_normal(0.2, 1.0))
    assert trace.rate(10.0, 50.0) >= 0.93 * 100
    assert trace.refused_share < 0.02


def test_a_rate_that_changes_is_followed_up_and_down() -> None:
    doubled = drive(TokenBucket(lambda now: 100.0 if now < 20 else 200.0, burst=10.0), 6_000)
    assert doubled.rate(35.0, 40.0) >= 0.95 * 200
    halved = drive(TokenBucket(lambda now: 100.0 if now < 20 else 50.0, burst=10.0), 3_000)
    assert halved.rate(22.0, 35.0) >= 0.95 * 50
    assert doubled.refused_share < 0.02 and halved.refused_share < 0.02


@pytest.mark.parametrize("seconds", [0.0005, 0.02, 1.0])
def test_a_told_concurrency_is_taken_up_at_once(seconds: float) -> None:
    trace = drive(Idle(), 64, limits=Limits(concurrency=64), seconds=seconds)
    assert trace.starts[-1] <= min(0.11, 3 * seconds)


def test_a_told_rate_is_reached_without_any_refusal() -> None:
    limits = Limits(requests_per_minute=6_000)
    jitter = Random(5)
    server = TokenBucket(lambda now: 100.0, burst=10.0)
    trace = drive(server, 3_000, limits=limits, late_s=0.004, travel_s=lambda: jitter.random() * 0.01)
    assert 3_000 / trace.wall_s >= 0.99 * 100
    assert not trace.refusals


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_a_token_limit_is_used_and_never_passed_wherever_the_server_counts(seconds: float) -> None:
    rng, limit = Random(3), 300_000
    tokens = [60 + 200 * math.exp(0.6 * rng.gauss(0, 1) - 0.18) for _ in range(4_500)]
    took = (seconds * rng.uniform(0.7, 1.3) * used / 260 for used in tokens)
    limits = Limits(tokens_per_minute=limit)
    trace = drive(Idle(), len(tokens), limits=limits, seconds=took, tokens=iter(tokens), estimate=260.0, late_s=0.002)
    assert most_in_a_minute([(start, used) for start, _, used in trace.ends]) <= limit
    assert most_in_a_minute([(end, used) for _, end, used in trace.ends]) <= limit
    assert sum(used for _, end, used in trace.ends if 60 < end <= 180) >= 0.95 * 2 * limit


@pytest.mark.parametrize(
    ("limit", "size", "seconds"),
    [(100_000, 1_000, 10.0), (30_000, 1_000, 10.0), (30_000, 5_000, 2.0), (1_000_000, 1_000, 20.0)],
)
def test_few_large_and_long_calls_keep_a_token_limit_too(limit: int, size: int, seconds: float) -> None:
    limits = Limits(concurrency=500, tokens_per_minute=limit)
    calls = 4 * limit // size
    trace = drive(Idle(), calls, limits=limits, seconds=seconds, tokens=float(size), estimate=float(size), late_s=0.002)
    assert most_in_a_minute([(start, used) for start, _, used in trace.ends]) <= limit
    assert most_in_a_minute([(end, used) for _, end, used in trace.ends]) <= limit
    assert sum(used for start, _, used in trace.ends if 60 < start <= 180) >= 0.95 * 2 * limit


def test_a_server_that_only_queues_is_filled_without_a_line() -> None:
    trace = drive(Queue(lambda now: 16), 3_000, seconds=0.1, workers=64, late_s=0.001)
    assert 3_000 / trace.wall_s >= 0.95 * 160
    assert trace.latency(0.5) <= 1.5 * 0.1


def test_a_queue_that_changes_is_followed_up_and_down() -> None:
    grown = drive(Queue(lambda now: 16 if now < 20 else 64), 10_000, seconds=0.1)
    assert grown.rate(grown.wall_s - 5, grown.wall_s) >= 0.9 * 640
    shrunk = drive(Queue(lambda now: 64 if now < 10 else 16), 10_000, seconds=0.1)
    assert shrunk.rate(20.0, 30.0) >= 0.95 * 160
    assert shrunk.limits[-1][1] <= 1.5 * 16


def test_heavy_tails_and_long_answers_are_no_queue() -> None:
    tails = drive(Idle(), 20_000, seconds=log_normal(0.2, 1.0))
    assert max(limit for _, limit in tails.limits) == 1_024
    assert min(limit for _, limit in tails.limits[10_000:]) >= 512
    rng = Random(2)
    tokens = [rng.lognormvariate(5, 1) * (1 if number < 5_000 else 4) for number in range(10_000)]
    longer = drive(Idle(), 10_000, seconds=(0.01 * used for used in tokens), tokens=iter(tokens))
    assert longer.limits[-1][1] >= 512


def test_a_batching_server_gives_most_of_its_throughput() -> None:
    trace = drive(Batching(half=32), 6_000, seconds=1.0)
    assert trace.rate(30.0) >= 0.7 * 32


def test_without_any_latency_the_cap_is_no_obstacle() -> None:
    trace = drive(Idle(), 500, seconds=0.0005, workers=64)
    assert next(now for now, limit in trace.limits if limit >= 64) < 0.01


@pytest.mark.parametrize("status", ["429", "503", "reset"])
@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_a_cap_is_found_whatever_the_server_says_above_it(status: Status, sigma: float) -> None:
    trace = drive(Cap(lambda now: 20, status), 3_000, seconds=log_normal(1.0, sigma))
    mean_s = math.exp(sigma**2 / 2)
    assert trace.rate(10.0, trace.wall_s - 10 * mean_s) >= 0.93 * 20 / mean_s
    assert len(trace.refusals) + trace.resets < 0.05 * 3_000


def test_a_cap_that_changes_is_followed_up_and_down() -> None:
    trace = drive(Cap(lambda now: 20 if now < 60 or now >= 120 else 8, "503"), 3_000, seconds=1.0)
    assert trace.rate(70.0, 115.0) >= 0.9 * 8
    assert trace.rate(trace.wall_s - 20, trace.wall_s) >= 0.9 * 20


def test_random_faults_are_no_load() -> None:
    class Faulty(Idle):
        def __init__(self) -> None:
            self.rng = Random(4)

        def arrive(self, now: float, tokens: float, seconds: float):  # type: ignore[no-untyped-def]
            reply = super().arrive(now, tokens, seconds)
            return reply._replace(status="reset") if self.rng.random() < 0.007 else reply

    trace = drive(Faulty(), 4_000, workers=64)
    assert 4_000 / trace.wall_s >= 0.9 * 64 / 0.02


@pytest.mark.parametrize("tells", [True, False])
def test_fixed_windows_are_used_up_and_then_left_alone(tells: bool) -> None:
    trace = drive(FixedWindows(600, 60.0, tells=tells), 2_400, seconds=0.2, workers=64)
    assert trace.wall_s <= 1.05 * 240  # four windows
    assert len(trace.refusals) <= (0 if tells else 0.06 * 2_400)


def test_a_stop_for_everybody_is_not_hammered_even_where_retry_after_lies() -> None:
    trace = drive(FixedWindows(600, 60.0, tells=False, retry_after_s=1.0), 2_400, seconds=0.2, workers=64)
    assert trace.refused_share < 0.15


def test_a_rolling_window_is_used_without_refusals() -> None:
    trace = drive(RollingWindow(lambda now: 10.0, burst=600.0), 2_000, seconds=0.2, workers=64)
    assert not trace.refusals
    assert trace.wall_s <= 1.05 * (2_000 - 600) / 10


def test_a_run_is_the_same_each_time() -> None:
    def run() -> Trace:
        return drive(TokenBucket(lambda now: 50.0, burst=5.0), 500, seconds=log_normal(0.1, 0.5))

    assert run() == run()


class Answers(NamedTuple):
    """How long answers are, about 260 tokens in the mean."""

    name: str
    tokens: Callable[[Random], float]


LOG_NORMAL = Answers("log-normal", lambda rng: 260 * math.exp(0.5 * rng.gauss(0, 1) - 0.125))
HEAVY_TAILED = Answers("heavy-tailed", lambda rng: min(260 * math.exp(rng.gauss(0, 1) - 0.5), 5_200))
BIMODAL = Answers("bimodal", lambda rng: 260 * (0.25 if rng.random() < 0.75 else 3.25) * rng.uniform(0.8, 1.2))
UNIFORM = Answers("uniform", lambda rng: 260 * rng.uniform(0.02, 1.98))


def spend(limit: int, answers: Answers, seconds: float, seed: int, minutes: int) -> Trace:
    """Calls that take as long as their answers are, estimated by a running mean as those of an endpoint are."""
    rng = Random(seed)
    tokens = [max(1, round(answers.tokens(rng))) for _ in range(int(limit / 240 * minutes))]
    took = (seconds * used / 260 for used in tokens)
    limits = Limits(concurrency=4_000, tokens_per_minute=limit)
    return drive(Idle(), len(tokens), limits=limits, seconds=took, tokens=iter(tokens), estimate=Mean(256.0))


@pytest.mark.parametrize(
    ("answers", "seconds", "most", "used"),
    [
        (LOG_NORMAL, 2.0, 1.0, 0.98),
        (LOG_NORMAL, 20.0, 1.0, 0.95),
        (UNIFORM, 2.0, 1.0, 0.98),
        (UNIFORM, 20.0, 1.0, 0.95),
        (BIMODAL, 2.0, 1.01, 0.98),
        (HEAVY_TAILED, 2.0, 1.01, 0.95),
        (HEAVY_TAILED, 20.0, 1.0, 0.79),  # nobody can know more: a few calls of several minutes are a tenth of it
    ],
    ids=lambda value: value.name if isinstance(value, Answers) else str(value),
)
def test_a_token_limit_is_kept_although_nobody_knows_how_long_answers_will_be(
    answers: Answers, seconds: float, most: float, used: float
) -> None:
    limit, shares = 300_000, list[float]()
    for seed in range(3):
        trace = spend(limit, answers, seconds, seed, minutes=5)
        started = [(start, tokens) for start, _, tokens in trace.ends]
        assert most_in_a_minute([call for call in started if call[0] >= 60]) <= most * limit
        assert most_in_a_minute(started) <= 1.01 * limit  # before any long answer has come, too
        shares.append(sum(tokens for start, tokens in started if 60 <= start < 240) / 3 / limit)
    assert sum(shares) / 3 >= used
