"""Demand: credits, the quota, the end."""

from __future__ import annotations

import asyncio

import pytest

from streamgen.engine.ack import Ack
from streamgen.engine.demand import Demand
from streamgen.virtual_time import run_virtual


def end(demand: Demand, tickets: int) -> None:
    demand.settled([Ack(n, demand) for n in range(tickets)])


def test_no_more_credits_than_in_flight_are_out() -> None:
    async def main() -> None:
        demand = Demand(10)
        assert [await demand.take(4) for _ in range(3)] == [4, 4, 2]
        waiting = asyncio.create_task(demand.take(4))
        await asyncio.sleep(1)
        assert not waiting.done()
        end(demand, 3)
        assert await waiting == 3
        assert (demand.outstanding, demand.issued, demand.settled_tickets) == (10, 13, 3)

    run_virtual(main)


def test_the_line_follows_what_is_missing_and_the_acceptance_rate() -> None:
    demand = Demand(100, missing=50)
    assert demand.line == 50
    assert run_virtual(lambda: demand.take(50)) == 50
    end(demand, 40)
    assert demand.line == 76  # n = 50 / ((1 + n) / (41 + n)) gives 75.6
    demand.accept(10)  # 11 of 41, with the imagined one
    assert demand.acceptance_rate == pytest.approx(11 / 41)
    assert demand.line == 58  # n = 40 / ((11 + n) / (41 + n)) gives 57.5
    demand.accept(30)  # 41 of 41
    assert demand.line == 10
    demand.accept(9)
    assert demand.line == 1
    demand.accept(1)
    assert (demand.missing, demand.line) == (0, 0)


def test_early_drops_alone_ask_for_few_more_tickets() -> None:
    """A third of the first 48 is dropped before any of the rest has arrived: the plain rate would ask for 784 more."""
    demand = Demand(1000, missing=48)
    assert run_virtual(lambda: demand.take(48)) == 48
    end(demand, 16)
    assert demand.line - demand.outstanding == 29  # n = 48 / ((1 + n) / (17 + n)) gives 60.4, 32 are out


def test_more_accepted_than_missing_ends_the_demand_all_the_same() -> None:
    demand = Demand(100, missing=3)
    demand.accept(5)
    assert demand.is_over and demand.missing == 0
    assert run_virtual(lambda: demand.take(1)) == 0


def test_credits_come_back_unused() -> None:
    async def main() -> None:
        demand = Demand(3)
        assert await demand.take(3) == 3
        demand.give_back(2)
        assert (demand.outstanding, demand.issued, await demand.take(9)) == (1, 1, 2)

    run_virtual(main)


@pytest.mark.parametrize("how", ["close", "accept"])
def test_the_end_wakes_who_waits(how: str) -> None:
    async def main() -> None:
        demand = Demand(1, missing=1)
        assert await demand.take(1) == 1
        waiting = asyncio.create_task(demand.take(1))
        await asyncio.sleep(1)
        demand.close() if how == "close" else demand.accept(1)
        assert await waiting == 0

    run_virtual(main)


def test_a_demand_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="in_flight is 0"):
        Demand(0)


def test_its_repr_shows_what_is_out() -> None:
    assert repr(Demand(4, missing=9)) == "<Demand 0/4 tickets out, 9 missing>"
    assert repr(Demand(4)) == "<Demand 0/4 tickets out>"
