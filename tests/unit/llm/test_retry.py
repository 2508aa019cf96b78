from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.llm.retry import FATAL, PAID, CallError, Kind, RetryPolicy, Tries

POLICY = RetryPolicy(attempts=5, paid_attempts=2, base_s=0.5, cap_s=4.0, patience_s=100.0)
AGAIN = [Kind.OVERLOADED, Kind.SERVER, Kind.RESET, Kind.TIMEOUT, Kind.UNREACHABLE]
NEVER = [Kind.TRUNCATED, Kind.BAD_REQUEST, Kind.AUTH, Kind.QUOTA, Kind.NOT_FOUND, Kind.NOT_AN_API]


def tries_until_given_up(kind: Kind, *, retry_after_s: float | None = None) -> int:
    tries, now, sent = Tries(POLICY, Random(1), 0.0), 0.0, 0
    while True:
        sent += 1
        wait_s = tries.wait_s(CallError(kind, "no", retry_after_s=retry_after_s), now)
        if wait_s is None:
            return sent
        now += wait_s


@pytest.mark.parametrize("kind", AGAIN)
def test_a_failing_endpoint_is_tried_as_often_as_allowed(kind: Kind) -> None:
    assert tries_until_given_up(kind) == 5


@pytest.mark.parametrize("kind", sorted(PAID - {Kind.TRUNCATED}))
def test_useless_answers_that_were_paid_are_tried_less_often(kind: Kind) -> None:
    assert tries_until_given_up(kind) == 2


@pytest.mark.parametrize("kind", NEVER)
def test_what_cannot_succeed_is_tried_once(kind: Kind) -> None:
    assert tries_until_given_up(kind) == 1


def test_every_kind_is_covered_here() -> None:
    assert {*AGAIN, *NEVER, *PAID, Kind.RATE_LIMITED} == set(Kind)
    assert set(FATAL) == {*NEVER, Kind.UNREACHABLE} - {Kind.BAD_REQUEST, Kind.TRUNCATED}


def test_rate_limits_are_bounded_by_time_alone() -> None:
    # Three refusals wait for the limits alone; then at most 0.5 + 1 + 2 + 4 + 4 + ... s of jitter fit into 100 s.
    assert 3 + 27 <= tries_until_given_up(Kind.RATE_LIMITED) <= 3 + 100


def test_what_the_limits_hold_back_has_no_time_of_its_own() -> None:
    tries = Tries(POLICY, Random(1), 0.0)
    refused = CallError(Kind.RATE_LIMITED, "slow down", retry_after_s=1.0)
    assert [tries.wait_s(refused, float(now), is_paced=True) for now in range(0, 102, 20)] == [0.0] * 6
    assert tries.wait_s(refused, 100.1, is_paced=True) is None


def test_rate_limits_do_not_use_up_the_tries() -> None:
    tries = Tries(POLICY, Random(1), 0.0)
    for _ in range(20):
        assert tries.wait_s(CallError(Kind.RATE_LIMITED, "slow down"), 0.0) is not None
    assert (tries.failed, tries.limited) == (0, 20)
    assert tries.wait_s(CallError(Kind.SERVER, "502"), 0.0) is not None


def test_a_useless_answer_after_other_failures_is_the_first_of_its_kind() -> None:
    tries = Tries(RetryPolicy(attempts=5, paid_attempts=2), Random(1), 0.0)
    kinds = [Kind.SERVER, Kind.RESET, Kind.EMPTY, Kind.SERVER, Kind.SERVER]
    waits = [tries.wait_s(CallError(kind, "no"), 0.0) for kind in kinds]
    assert [wait is None for wait in waits] == [False, False, False, False, True]


def test_useless_answers_end_a_call_at_their_own_bound_or_at_that_of_all_tries() -> None:
    kinds = [Kind.SERVER, Kind.EMPTY, Kind.SERVER, Kind.EMPTY]
    for attempts, given_up in ((9, [False, False, False, True]), (2, [False, True])):
        tries = Tries(RetryPolicy(attempts=attempts, paid_attempts=2), Random(1), 0.0)
        waits = [tries.wait_s(CallError(kind, "no"), 0.0) for kind in kinds[: len(given_up)]]
        assert [wait is None for wait in waits] == given_up


@given(attempt=st.integers(1, 4), seed=st.integers(0, 1 << 32))
def test_backoff_stays_between_zero_and_the_doubling_cap(attempt: int, seed: int) -> None:
    tries = Tries(POLICY, Random(seed), 0.0)
    wait_s = [tries.wait_s(CallError(Kind.SERVER, "502"), 0.0) for _ in range(attempt)][-1]
    assert wait_s is not None
    assert 0.0 <= wait_s <= min(4.0, 0.5 * 2 ** (attempt - 1))


@given(told=st.floats(0.0, 90.0), seed=st.integers(0, 1 << 32))
def test_no_try_comes_before_the_time_that_the_server_told(told: float, seed: int) -> None:
    wait_s = Tries(POLICY, Random(seed), 0.0).wait_s(CallError(Kind.OVERLOADED, "later", retry_after_s=told), 0.0)
    assert wait_s is not None
    assert told <= wait_s <= told + 0.5


def test_what_a_failed_try_took_counts_as_waiting_but_not_for_the_time_that_the_server_told() -> None:
    hung, told = CallError(Kind.TIMEOUT, "10 s"), CallError(Kind.TIMEOUT, "504", retry_after_s=2.0)
    assert [Tries(POLICY, Random(1), 0.0).wait_s(error, 0.0, took_s=10.0) for error in (hung, told)] == [0.0, 2.0]


def test_a_huge_attempt_number_does_not_overflow() -> None:
    assert 0.0 <= POLICY.backoff_s(10_000, Random(1)) <= 4.0


def test_a_key_in_a_message_is_masked() -> None:
    assert "abcdefgh" not in str(CallError(Kind.AUTH, "bad key sk-abcdefgh12345678"))
