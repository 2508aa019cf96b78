"""Hedged requests on virtual time: what they save, what they cost, and what is left of the loser."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from random import Random

import anyio
import pytest

from streamgen.llm.endpoint import Endpoint
from streamgen.llm.hedge import HedgePolicy
from streamgen.llm.lane import Lane
from streamgen.llm.limits import Limits
from streamgen.llm.model import CompletionRequest, Request, Response
from streamgen.llm.price import Estimate, Price
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Usage
from streamgen.testing import Answer, Scripted, scripted
from streamgen.virtual_time import run_virtual

ONE = Response("ok", usage=Usage(10, 10))
POLICY = HedgePolicy(quantile=0.9, budget=0.5)


def ask(name: str) -> CompletionRequest:
    return CompletionRequest(prompt="x" * 30, seed=7, idempotency_key=name)


def after(first: Callable[[Request], Awaitable[Answer]]) -> Scripted:
    """Answers after 1 s each, 50 calls long; then as `first` says."""

    async def answer(request: Request) -> Answer:
        if request.idempotency_key == "warm":
            await anyio.sleep(1.0)
            return ONE
        return await first(request)

    return scripted(answer)


async def warm(endpoint: Endpoint) -> None:
    for _ in range(50):
        await endpoint.call(ask("warm"))


def is_second(request: Request) -> bool:
    return request.idempotency_key.endswith("-h")


async def never(request: Request) -> Answer:
    await anyio.sleep_forever()
    return ONE


async def slow_then_quick(request: Request) -> Answer:
    await anyio.sleep(0.5 if is_second(request) else 100.0)
    return Response("second" if is_second(request) else "first", usage=Usage(10, 10))


def test_the_second_request_wins_and_the_loser_is_cancelled_freed_and_paid() -> None:
    async def main() -> None:
        model = after(slow_then_quick)
        endpoint = Endpoint("m", model, price=Price(output=1e6), hedge=POLICY)
        await warm(endpoint)
        response = await endpoint.call(ask("a"))
        assert anyio.current_time() == pytest.approx(50 + 1.0 + 0.5)
        assert [(request.idempotency_key, request.seed) for request in model.requests[50:]] == [("a", 7), ("a-h", 7)]
        estimate = endpoint.estimate(ask("a"))
        assert response.text == "second"
        # The loser is settled with the estimate: what it reads, and 10 tokens that it would write.
        assert response.usage == Usage(10 + estimate.tokens - 10, 20, 2, 20.0)
        statistics = endpoint.statistics()
        assert (statistics.hedges, statistics.hedges_won, statistics.requests, statistics.responses) == (1, 1, 52, 51)
        assert (statistics.in_flight, statistics.waiting) == (0, 0)
        assert statistics.usage.calls == 52

    run_virtual(main)


def test_the_first_request_may_still_win() -> None:
    async def first(request: Request) -> Answer:
        await anyio.sleep(100.0 if is_second(request) else 1.5)
        return ONE

    async def main() -> None:
        endpoint = Endpoint("m", after(first), hedge=POLICY)
        await warm(endpoint)
        await endpoint.call(ask("a"))
        statistics = endpoint.statistics()
        assert anyio.current_time() == 51.5
        assert (statistics.hedges, statistics.hedges_won, statistics.in_flight) == (1, 0, 0)

    run_virtual(main)


@pytest.mark.parametrize(("first_s", "second_s"), [(1.2, 9.0), (9.0, 0.2)])
def test_one_that_fails_leaves_the_call_to_the_other(first_s: float, second_s: float) -> None:
    async def one_fails(request: Request) -> Answer:
        seconds = second_s if is_second(request) else first_s
        await anyio.sleep(seconds)
        return ONE if seconds == 9.0 else CallError(Kind.EMPTY, "no text", usage=Usage(5, 0))

    async def main() -> None:
        model = after(one_fails)
        endpoint = Endpoint("m", model, hedge=POLICY)
        await warm(endpoint)
        assert (await endpoint.call(ask("a"))).usage == Usage(15, 10, 2)
        assert len(model.requests) == 52

    run_virtual(main)


def test_when_both_fail_the_call_is_tried_again() -> None:
    async def both_fail(request: Request) -> Answer:
        if len(model.requests) > 52:
            return ONE
        await anyio.sleep(3.0)
        return CallError(Kind.SERVER, "502")

    async def main() -> None:
        endpoint = Endpoint("m", model, hedge=POLICY)
        await warm(endpoint)
        assert (await endpoint.call(ask("a"))).text == "ok"
        assert endpoint.statistics().failures == {Kind.SERVER: 2}
        assert endpoint.statistics().retries == {Kind.SERVER: 1}

    model = after(both_fail)
    run_virtual(main)


def test_a_second_request_needs_a_slot_and_is_forgotten_when_the_first_is_answered_before() -> None:
    async def main() -> None:
        model = after(slow_then_quick)
        endpoint = Endpoint("m", model, limits=Limits(concurrency=1), hedge=POLICY)
        await warm(endpoint)
        assert (await endpoint.call(ask("a"))).text == "first"
        statistics = endpoint.statistics()
        assert (statistics.hedges, statistics.requests, statistics.waiting, statistics.in_flight) == (0, 51, 0, 0)

    run_virtual(main)


def test_a_hedge_that_is_overtaken_at_its_very_beginning_is_not_counted() -> None:
    """All answers take the same time, so a call is late in the moment in which it is answered."""

    async def later(endpoint: Endpoint) -> None:
        await anyio.sleep(0.5)
        await warm(endpoint)

    async def main() -> None:
        model = after(never)
        endpoint = Endpoint("m", model, hedge=HedgePolicy(quantile=0.5, budget=0.9))
        async with anyio.create_task_group() as both:
            both.start_soon(warm, endpoint)
            both.start_soon(later, endpoint)
        assert endpoint.statistics().hedges == len(model.requests) - 100

    run_virtual(main)


def test_no_second_request_without_the_budgets_leave() -> None:
    asked: list[Estimate] = []

    def afford(estimate: Estimate) -> bool:
        asked.append(estimate)
        return False

    async def main() -> None:
        endpoint = Endpoint("m", after(slow_then_quick), hedge=POLICY)
        await warm(endpoint)
        estimate = endpoint.estimate(ask("a"))
        assert (await endpoint.call(ask("a"), afford=afford)).text == "first"
        assert asked == [estimate]
        assert endpoint.statistics().hedges == 0

    run_virtual(main)


def test_a_cancelled_call_cancels_both_requests() -> None:
    async def main() -> None:
        endpoint = Endpoint("m", after(never), hedge=POLICY)
        await warm(endpoint)
        with anyio.move_on_after(5.0):
            await endpoint.call(ask("a"))
        statistics = endpoint.statistics()
        assert (statistics.requests, statistics.hedges, statistics.in_flight, statistics.waiting) == (52, 1, 0, 0)

    run_virtual(main)


def test_a_bug_in_a_model_comes_out_as_it_is() -> None:
    async def bug(request: Request) -> Answer:
        await anyio.sleep(5.0 if is_second(request) else 100.0)
        raise KeyError("bug")

    async def main() -> None:
        endpoint = Endpoint("m", after(bug), hedge=POLICY)
        await warm(endpoint)
        with pytest.raises(KeyError, match="bug"):
            await endpoint.call(ask("a"))
        assert endpoint.statistics().in_flight == 0

    run_virtual(main)


def test_hedging_needs_no_more_than_a_plain_asyncio_loop() -> None:
    async def quick(request: Request) -> Answer:
        await asyncio.sleep(0.001 if is_second(request) or request.idempotency_key == "warm" else 60.0)
        return Response("second" if is_second(request) else "first")

    async def main() -> str:
        endpoint = Endpoint("m", scripted(quick), hedge=HedgePolicy(quantile=0.98, budget=0.9))
        for _ in range(60):
            await endpoint.call(ask("warm"))
        return (await endpoint.call(ask("a"))).text

    assert asyncio.run(main()) == "second"


def test_the_second_request_goes_to_another_lane_where_one_is_free() -> None:
    async def main() -> None:
        models = [after(slow_then_quick) for _ in range(2)]
        endpoint = Endpoint("m", [Lane(model) for model in models], hedge=POLICY)
        await warm(endpoint)
        await endpoint.call(ask("x"))
        last = [model.requests[-1].idempotency_key for model in models]
        assert sorted(last) == ["x", "x-h"]

    run_virtual(main)


@pytest.mark.parametrize("hedge", [None, HedgePolicy()])
def test_two_stages_of_heavy_tailed_calls_end_near_the_ideal_time(hedge: HedgePolicy | None) -> None:
    """2,000 records of two calls, log-normal with a median of 200 ms and sigma 1, 64 at once."""
    draw, service, longest = Random(1), 0.0, 0.0

    async def answer(request: Request) -> Response:
        nonlocal service, longest
        seconds = 0.2 * math.exp(draw.gauss(0.0, 1.0))
        service += 0.0 if is_second(request) else seconds
        longest = max(longest, seconds)
        await anyio.sleep(seconds)
        return ONE

    async def record(endpoint: Endpoint, names: Iterator[int]) -> None:
        for name in names:
            await endpoint.call(ask(f"{name}"), priority=0)
            await endpoint.call(ask(f"{name}+"), priority=1)

    async def main() -> None:
        endpoint = Endpoint("m", scripted(answer), limits=Limits(concurrency=64), hedge=hedge)
        async with anyio.create_task_group() as tasks:
            names = iter(range(2000))
            for _ in range(64):
                tasks.start_soon(record, endpoint, names)
        statistics = endpoint.statistics()
        assert (statistics.responses, statistics.in_flight, statistics.waiting) == (4000, 0, 0)
        assert statistics.hedges <= 0.03 * 4000
        ideal_s = service / 64
        # Without hedging: what no order of the calls can do worse than (Graham, 1966).
        assert anyio.current_time() <= (1.12 * ideal_s if hedge else ideal_s + 2 * longest)

    run_virtual(main)
