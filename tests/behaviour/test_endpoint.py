"""The endpoint on virtual time: whose turn it is, when, and what is paid."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.errors import EndpointError
from streamgen.llm.endpoint import Endpoint
from streamgen.llm.limits import Limits
from streamgen.llm.model import CompletionRequest, Request, Response
from streamgen.llm.price import Price
from streamgen.llm.retry import CallError, Kind, RetryPolicy
from streamgen.llm.turns import Turns
from streamgen.record import Usage
from streamgen.testing import Scripted, prompt_of, scripted
from streamgen.virtual_time import run_virtual


def ask(prompt: str, **parameters: int) -> CompletionRequest:
    return CompletionRequest(prompt=prompt, **parameters)


def asked(model: Scripted) -> list[str]:
    return [prompt_of(request) for request in model.requests]


def run(main: Callable[[TaskGroup], Awaitable[None]]) -> None:
    async def grouped() -> None:
        async with anyio.create_task_group() as tasks:
            await main(tasks)

    run_virtual(grouped)


async def call(endpoint: Endpoint, prompt: str, priority: int = 0) -> Response:
    return await endpoint.call(ask(prompt), priority=priority)


def test_higher_priorities_go_first_and_equal_ones_in_order() -> None:
    model = scripted(["ok"], latency_s=1.0)

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("main", model, limits=Limits(concurrency=1))
        for prompt, priority in [("first", 0), ("a", 0), ("b", 2), ("c", 1), ("d", 2), ("e", 0)]:
            tasks.start_soon(call, endpoint, prompt, priority)
            await anyio.sleep(0.01)

    run(main)
    assert asked(model) == ["first", "b", "d", "c", "a", "e"]


@settings(max_examples=50, deadline=None)
@given(
    concurrency=st.integers(1, 5),
    calls=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 2), st.one_of(st.none(), st.floats(0, 5))), max_size=25),
    limit=st.one_of(st.none(), st.integers(1, 120)),
)
def test_whatever_is_cancelled_every_other_call_is_answered_within_the_limits(
    concurrency: int, calls: list[tuple[float, int, float | None]], limit: int | None
) -> None:
    flight = most = answered = 0

    async def answer(request: Request) -> str:
        nonlocal flight, most
        flight += 1
        most = max(most, flight)
        try:
            await anyio.sleep(1.0)
        finally:
            flight -= 1
        return "ok"

    async def one(endpoint: Endpoint, start: float, priority: int, patience: float | None) -> None:
        nonlocal answered
        await anyio.sleep(start)
        with anyio.move_on_after(patience):
            await endpoint.call(ask("x"), priority=priority)
            answered += 1

    async def main(tasks: TaskGroup) -> None:
        nonlocal endpoint
        limits = Limits(concurrency=concurrency, requests_per_minute=limit)
        endpoint = Endpoint("main", scripted(answer), limits=limits)
        for start, priority, patience in calls:
            tasks.start_soon(one, endpoint, start, priority, patience)

    endpoint: Endpoint | None = None
    run(main)
    assert endpoint is not None
    assert most <= concurrency
    assert answered >= sum(patience is None for _, _, patience in calls)
    assert (endpoint.statistics().in_flight, endpoint.statistics().waiting) == (0, 0)


def test_a_call_cancelled_in_the_moment_of_its_turn_passes_the_turn_on() -> None:
    model = scripted(["ok"], latency_s=1.0)

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("main", model, limits=Limits(concurrency=1, requests_per_minute=61))
        tasks.start_soon(call, endpoint, "first")
        await anyio.lowlevel.checkpoint()
        unlucky = asyncio.ensure_future(call(endpoint, "unlucky"))
        tasks.start_soon(call, endpoint, "next")
        await anyio.sleep(1.0)  # the timer stands behind the answer's: the turn is given, but nobody woke up yet
        assert (endpoint.statistics().in_flight, endpoint.statistics().waiting) == (1, 1)
        unlucky.cancel()
        await asyncio.wait([unlucky])
        assert unlucky.cancelled()
        await anyio.lowlevel.checkpoint()
        assert anyio.current_time() == 1.0
        assert asked(model) == ["first", "next"]  # the request that was not sent does not count in the rate

    run(main)


@pytest.mark.parametrize("limits", [Limits(concurrency=3), Limits(concurrency=100, requests_per_minute=240)])
def test_each_waiting_call_looks_once_when_its_turn_comes(limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = 0
    dispatch = Turns.dispatch

    def counted(turns: Turns) -> None:
        nonlocal decisions
        decisions += 1
        dispatch(turns)

    monkeypatch.setattr(Turns, "dispatch", counted)

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("main", scripted(["ok"], latency_s=1.0), limits=limits)
        for number in range(100):
            tasks.start_soon(call, endpoint, str(number), number % 5)

    run(main)
    # One when a call joins the line, one when it ends, and with a rate one when its time comes.
    assert decisions <= (97 + 100 if limits.requests_per_minute is None else 99 + 100 + 99)


def test_a_rate_limited_line_starts_exactly_when_the_bucket_allows() -> None:
    starts: list[float] = []

    async def answer(request: Request) -> str:
        starts.append(anyio.current_time())
        return "ok"

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("main", scripted(answer), limits=Limits(requests_per_minute=61))
        for number in range(121):
            tasks.start_soon(call, endpoint, str(number))

    run(main)
    assert starts == pytest.approx([n * 60.2 / 61 for n in range(121)], abs=0.06)


def test_tokens_are_settled_with_what_was_really_used() -> None:
    starts: list[float] = []

    async def answer(request: Request) -> Response:
        starts.append(anyio.current_time())
        return Response("ok", usage=Usage(10, 0))

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("main", scripted(answer), limits=Limits(tokens_per_minute=600))
        for _ in range(20):
            await endpoint.call(ask("x" * 10, max_tokens=100_000))  # the estimate alone would take hours

    run(main)
    assert starts[-1] <= 200 * 61 / 599


def test_no_slot_is_held_while_a_retry_waits() -> None:
    def answer(request: Request) -> str | CallError:
        is_first = prompt_of(request) == "failing" and len(model.requests) == 1
        return CallError(Kind.OVERLOADED, "busy") if is_first else "ok"

    model = scripted(answer)
    ended: list[str] = []

    async def main(tasks: TaskGroup) -> None:
        retry = RetryPolicy(base_s=1000.0, cap_s=1000.0)
        endpoint = Endpoint("main", model, limits=Limits(concurrency=1), retry=retry, rng=Random(1))

        async def one(prompt: str) -> None:
            await call(endpoint, prompt)
            ended.append(prompt)

        tasks.start_soon(one, "failing")
        tasks.start_soon(one, "other")

    run(main)
    assert ended == ["other", "failing"]


def test_nobody_calls_before_the_time_that_the_server_told() -> None:
    starts: list[float] = []

    async def answer(request: Request) -> str | CallError:
        starts.append(anyio.current_time())
        return "ok" if len(starts) > 1 else CallError(Kind.RATE_LIMITED, "429", retry_after_s=30.0)

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("main", scripted(answer))
        tasks.start_soon(call, endpoint, "a")
        await anyio.sleep(1.0)
        for _ in range(10):
            tasks.start_soon(call, endpoint, "b")

    run(main)
    assert starts[0] == 0.0
    assert starts[1:11] == pytest.approx([30.0] * 10, abs=0.01)
    assert 30.0 <= starts[11] <= 30.5


def test_everything_that_was_paid_stands_in_the_usage() -> None:
    wasted = CallError(Kind.EMPTY, "no text", usage=Usage(100, 0))
    model = scripted([wasted, CallError(Kind.SERVER, "502"), Response("ok", usage=Usage(100, 50))])
    endpoint = Endpoint("main", model, price=Price(input=1.0, output=2.0))
    assert endpoint.statistics().usage == Usage(calls=0, cost_usd=0.0)  # nothing yet, which is known to be free

    async def main() -> Response:
        return await endpoint.call(ask("x"))

    usage = run_virtual(main).usage
    assert usage == Usage(200, 50, 2, pytest.approx(300e-6))
    statistics = endpoint.statistics()
    assert statistics.usage == usage
    assert (statistics.requests, statistics.responses) == (3, 1)
    assert statistics.retries == statistics.failures == {Kind.EMPTY: 1, Kind.SERVER: 1}


def test_after_a_useless_answer_the_next_seed_and_key_are_sent_and_only_then() -> None:
    empty, broken = CallError(Kind.EMPTY, "no text"), CallError(Kind.MALFORMED, "{")
    model = scripted([CallError(Kind.SERVER, "502"), empty, "ok", empty, broken, "ok", empty, "ok"])
    endpoint = Endpoint("main", model)

    async def main() -> None:
        await endpoint.call(CompletionRequest(prompt="x", seed=7, idempotency_key="a"))
        await endpoint.call(CompletionRequest(prompt="x", seed=0x7FFF_FFFF, idempotency_key="b"))
        await endpoint.call(ask("x"))

    run_virtual(main)
    assert [(request.seed, request.idempotency_key) for request in model.requests] == [
        (7, "a"), (7, "a"), (8, "a-r1"), (0x7FFF_FFFF, "b"), (0, "b-r1"), (1, "b-r2"), (None, ""), (None, ""),
    ]  # fmt: skip


def test_what_was_truncated_is_not_paid_for_again() -> None:
    model = scripted([CallError(Kind.TRUNCATED, "raise it", usage=Usage(9, 16)), "ok"])
    endpoint = Endpoint("main", model)

    async def main() -> None:
        with pytest.raises(CallError, match="raise it") as caught:
            await endpoint.call(ask("x", max_tokens=16))
        assert caught.value.usage == Usage(9, 16)

    run_virtual(main)
    assert len(model.requests) == 1


def test_a_call_that_fails_says_what_it_cost() -> None:
    model = scripted(lambda _: CallError(Kind.EMPTY, "no text", usage=Usage(100, 0)))
    endpoint = Endpoint("main", model, price=Price(input=1.0))

    async def main() -> None:
        await endpoint.call(ask("x"))

    with pytest.raises(CallError) as caught:
        run_virtual(main)
    assert caught.value.usage == Usage(300, 0, 3, pytest.approx(300e-6))


def test_without_a_price_the_cost_is_unknown_and_without_a_count_tokens_are_guessed() -> None:
    endpoint = Endpoint("main", scripted([Response("x" * 100)]))

    async def main() -> Usage:
        return (await endpoint.call(ask("y" * 100))).usage

    usage = run_virtual(main)
    assert (usage.cost_usd, usage.calls) == (None, 1)
    assert (usage.prompt_tokens, usage.completion_tokens) == (31, 31)


def test_estimates_follow_the_answers() -> None:
    endpoint = Endpoint("main", scripted([Response("x", usage=Usage(50, 20))]), price=Price(output=1e6))
    request = ask("y" * 100, max_tokens=512)
    assert endpoint.estimate(request).usd == 512.0

    async def main() -> None:
        for _ in range(200):
            await endpoint.call(request)

    run_virtual(main)
    assert (endpoint.estimate(request).tokens, endpoint.estimate(request).usd) == (1 + 50 + 20, 20.0)


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.NOT_FOUND, Kind.NOT_AN_API, Kind.QUOTA])
def test_a_fatal_answer_ends_those_in_line_and_all_later_calls(kind: Kind) -> None:
    async def answer(request: Request) -> CallError:
        await anyio.sleep(1.0)
        return CallError(kind, "http://host/v1 said no")

    model = scripted(answer)
    messages = set()

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("main", model, limits=Limits(concurrency=1))

        async def one() -> None:
            with pytest.raises(EndpointError, match="endpoint 'main': http://host/v1 said no; ") as caught:
                await call(endpoint, "x")
            messages.add((str(caught.value), anyio.current_time()))

        for _ in range(5):
            tasks.start_soon(one)
        await anyio.sleep(1.0)
        await one()

    run(main)
    assert len(model.requests) == 1
    assert len({message for message, _ in messages}) == 1
    assert {at for _, at in messages} == {1.0}


def test_an_unreachable_endpoint_is_tried_some_times_and_is_fatal_then() -> None:
    model = scripted(lambda _: CallError(Kind.UNREACHABLE, "refused"))
    endpoint = Endpoint("main", model)

    async def main() -> None:
        await endpoint.call(ask("x"))

    with pytest.raises(EndpointError, match="that the server is running"):
        run_virtual(main)
    assert len(model.requests) == 6


def test_a_bad_request_fails_its_record_only() -> None:
    model = scripted([CallError(Kind.BAD_REQUEST, "too long"), "ok"])
    endpoint = Endpoint("main", model)

    async def main() -> str:
        with pytest.raises(CallError, match="too long"):
            await endpoint.call(ask("x"))
        return (await endpoint.call(ask("x"))).text

    assert run_virtual(main) == "ok"


def test_an_error_of_the_model_itself_frees_the_slot() -> None:
    model = scripted([KeyError("bug"), "ok"])
    endpoint = Endpoint("main", model, limits=Limits(concurrency=1))

    async def main() -> str:
        with pytest.raises(KeyError):
            await endpoint.call(ask("x"))
        return (await endpoint.call(ask("x"))).text

    assert run_virtual(main) == "ok"
