"""Guards: windows and limits."""

from __future__ import annotations

import pytest

from streamgen.engine.ack import Ack
from streamgen.engine.demand import Demand
from streamgen.engine.guard import BarrenGuard, FailureGuard
from streamgen.errors import NoProgress, TooManyFailures

DEMAND = Demand(1)


def ended(*errors: str | None) -> list[Ack]:
    return [Ack(n, DEMAND, live=0, error=error) for n, error in enumerate(errors)]


def test_failures_count_only_once_enough_tickets_have_ended() -> None:
    guard = FailureGuard(share=0.5, window=10, enough=4)
    guard.watch(ended("ask: E", "ask: E", "ask: E"))
    with pytest.raises(TooManyFailures, match=r"3 of the last 4 tickets failed.*\(3 times\): ask: E"):
        guard.watch([Ack(9, DEMAND, error="ask: E", accepted=1)])


def test_old_failures_leave_the_window() -> None:
    guard = FailureGuard(share=0.5, window=10, enough=4)
    guard.watch(ended("a: E", "a: E", None, None))
    guard.watch(ended(*[None] * 8))
    guard.watch(ended("a: E", "a: E", "a: E", "a: E", "a: E"))  # 5 of 10 are not more than half
    with pytest.raises(TooManyFailures, match="6 of the last 10"):
        guard.watch(ended("a: E"))


def test_a_window_smaller_than_enough_is_enough() -> None:
    guard = FailureGuard(share=0.5, window=3, enough=20)
    guard.watch(ended("a: E", "a: E"))
    with pytest.raises(TooManyFailures, match="3 of the last 3 tickets failed"):
        guard.watch(ended("a: E"))


def test_a_ticket_of_which_something_was_accepted_has_not_failed() -> None:
    guard = FailureGuard(share=0.1, window=10, enough=1)
    guard.watch([Ack(0, DEMAND, error="a: E", accepted=1)] * 9)


def test_an_accepted_record_begins_the_barren_count_anew() -> None:
    demand = Demand(10)
    guard = BarrenGuard(demand, limit=5)
    guard.watch(ended(*["a: E"] * 4))
    demand.accept(1)
    guard.watch(ended(None))
    guard.watch(ended(*["a: E"] * 4))
    with pytest.raises(NoProgress, match=r"the last 5 tickets gave no accepted record: failed in a: E \(5 times\)"):
        guard.watch(ended("a: E"))


def test_surplus_is_not_barren() -> None:
    guard = BarrenGuard(Demand(10), limit=2)
    guard.watch([Ack(0, DEMAND, surplus=1)] * 9)
