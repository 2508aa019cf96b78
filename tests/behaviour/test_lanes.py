"""Several servers and keys behind one endpoint, on virtual time: who takes a call, and what happens when one fails."""

from collections import Counter
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.errors import EndpointError
from streamgen.llm.endpoint import Endpoint
from streamgen.llm.hedge import HedgePolicy
from streamgen.llm.lane import Lane
from streamgen.llm.limits import Limits
from streamgen.llm.model import CompletionRequest, Request, Response
from streamgen.llm.price import Price
from streamgen.llm.retry import CallError, Kind, RetryPolicy
from streamgen.record import Usage
from streamgen.testing import Answer, scripted
from streamgen.virtual_time import run_virtual

X = CompletionRequest(prompt="x")


def run(main: Callable[[TaskGroup], Awaitable[None]]) -> None:
    async def grouped() -> None:
        # Where all wait for each other, no timer is left that the clock could be set forward to.
        with anyio.fail_after(1e6):
            async with anyio.create_task_group() as tasks:
                await main(tasks)

    run_virtual(grouped)


def lane(
    name: str, *answers: Answer, latency_s: float = 1.0, weight: float = 1.0, limits: Limits | None = None
) -> Lane:
    """A lane that gives these answers and then repeats the last one."""
    left = list(answers)

    def answer(request: Request) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return Lane(scripted(answer, latency_s=latency_s), name=name, weight=weight, limits=limits)


def sent(lanes: list[Lane]) -> list[int]:
    return [lane.requests for lane in lanes]


def failure(kind: Kind) -> CallError:
    return CallError(kind, f"http://host said {kind}")


async def calls(endpoint: Endpoint, number: int) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(number):
            tasks.start_soon(endpoint.call, X)


@pytest.mark.parametrize(
    ("weights", "shares"), [((1, 1), [50, 50]), ((3, 1), [75, 25]), ((0.5, 0.25, 0.25), [50, 25, 25])]
)
def test_calls_are_shared_by_weight(weights: tuple[float, ...], shares: list[int]) -> None:
    async def main(tasks: TaskGroup) -> None:
        lanes = [lane(str(n), "ok", weight=weight) for n, weight in enumerate(weights)]
        endpoint = Endpoint("m", lanes)
        for _ in range(100):
            await endpoint.call(X)
        assert sent(lanes) == shares

    run(main)


def test_a_call_never_waits_for_one_lane_while_another_is_free() -> None:
    async def main(tasks: TaskGroup) -> None:
        lanes = [
            lane("few", "ok", weight=1000, limits=Limits(concurrency=2)),
            lane("slow", "ok", limits=Limits(requests_per_minute=1)),
            lane("many", "ok", limits=Limits(concurrency=9)),
        ]
        await calls(Endpoint("m", lanes), 12)
        assert anyio.current_time() == 1.0
        assert sent(lanes) == [2, 1, 9]

    run(main)


def test_a_lane_that_was_full_gets_no_more_than_its_share_afterwards() -> None:
    async def main(tasks: TaskGroup) -> None:
        lanes = [lane("a", "ok"), lane("b", "ok", latency_s=100.0, limits=Limits(concurrency=1))]
        endpoint = Endpoint("m", lanes)
        tasks.start_soon(endpoint.call, X)
        tasks.start_soon(endpoint.call, X)  # `b` is full for 100 s
        for _ in range(100):
            await endpoint.call(X)
        before = sent(lanes)
        await anyio.sleep(1.0)
        lanes[1].model = lanes[0].model
        for _ in range(10):
            await endpoint.call(X)
        assert [now - then for now, then in zip(sent(lanes), before, strict=True)] == [5, 5]

    run(main)


def test_one_timer_waits_for_the_lane_that_is_ready_first() -> None:
    starts: list[float] = []

    async def answer(request: Request) -> str:
        starts.append(anyio.current_time())
        return "ok"

    async def main(tasks: TaskGroup) -> None:
        lanes = [Lane(scripted(answer), limits=Limits(requests_per_minute=61 / n)) for n in (2, 3)]
        await calls(Endpoint("m", lanes), 6)

    run(main)
    # One each 2 s on one lane and one each 3 s on the other.
    assert starts == pytest.approx([0.0, 0.0, 2.0, 3.0, 4.0, 6.0], rel=0.05)


@pytest.mark.parametrize("kind", [Kind.SERVER, Kind.RESET, Kind.TIMEOUT, Kind.OVERLOADED, Kind.RATE_LIMITED])
def test_a_failed_call_goes_to_another_lane_at_once(kind: Kind) -> None:
    async def main(tasks: TaskGroup) -> None:
        lanes = [lane("bad", failure(kind)), lane("good", "ok")]
        endpoint = Endpoint("m", lanes)
        await endpoint.call(X)
        assert anyio.current_time() == 2.0
        assert (sent(lanes), endpoint.statistics().retries) == ([1, 1], {kind: 1})

    run(main)


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.QUOTA, Kind.NOT_FOUND, Kind.NOT_AN_API])
def test_a_lane_that_cannot_work_is_taken_out_and_nothing_is_lost(kind: Kind) -> None:
    async def main(tasks: TaskGroup) -> None:
        lanes = [lane("bad", failure(kind)), lane("good", "ok")]
        endpoint = Endpoint("m", lanes, retry=RetryPolicy(attempts=1))
        await calls(endpoint, 20)
        assert sent(lanes) == [10, 20]
        await calls(endpoint, 5)
        assert sent(lanes) == [10, 25]
        statistics = endpoint.statistics()
        assert [lane.state for lane in statistics.lanes] == ["out", "closed"]
        assert len(statistics.warnings) == 1
        assert statistics.warnings[0].startswith(f"m, bad: http://host said {kind}; ")

    run(main)


def test_when_every_lane_is_out_the_error_lists_their_reasons() -> None:
    async def main(tasks: TaskGroup) -> None:
        lanes = [lane("a", failure(Kind.AUTH)), lane("b", failure(Kind.QUOTA), latency_s=2.0)]
        endpoint = Endpoint("m", lanes)
        for _ in range(2):
            with pytest.raises(EndpointError) as caught:
                await endpoint.call(X)
            message = str(caught.value)
            assert message.startswith("endpoint 'm': none of its servers can be used")
            assert "\n  a: http://host said auth; check the key" in message
            assert "\n  b: http://host said quota; the account has no credit" in message
        assert sent(lanes) == [1, 1]

    run(main)


def test_a_lane_that_is_away_is_probed_alone_and_comes_back() -> None:
    async def main(tasks: TaskGroup) -> None:
        away = [failure(Kind.UNREACHABLE)] * 4
        lanes = [lane("away", *away, "ok", latency_s=0.0), lane("good", "ok", latency_s=0.1)]
        endpoint = Endpoint("m", lanes, retry=RetryPolicy(attempts=2))
        seen = Counter[str]()
        for _ in range(200):
            await endpoint.call(X)
            seen[endpoint.statistics().lanes[0].state] += 1
        # It is tried at 0, 0.5, 1.5 and 3.5 s, answers at 7.5 s, and takes its share again.
        assert seen["open"] in (75, 76)
        assert lanes[0].failures == {Kind.UNREACHABLE: 4}
        assert lanes[0].responses > 55
        assert endpoint.statistics().warnings == ()

    run(main)


def test_the_breaker_spares_a_failing_lane_and_its_callers() -> None:
    async def main(tasks: TaskGroup) -> None:
        lanes = [lane("bad", failure(Kind.SERVER), latency_s=0.1), lane("good", "ok", latency_s=0.1)]
        endpoint = Endpoint("m", lanes)
        for _ in range(1000):
            await endpoint.call(X)
        # 11 failures open it; then at most one probe after 0.5, 1, 2, 4, 8, 16, 20, 20 ... s of 100 s.
        assert 11 + 5 <= lanes[0].requests <= 11 + 9
        assert lanes[1].responses == 1000

    run(main)


def test_a_lone_lane_that_fails_for_a_while_loses_no_call() -> None:
    """30 s of errors: each call alone would give up after six tries in some 8 s."""

    async def answer(request: Request) -> Answer:
        now = anyio.current_time()
        await anyio.sleep(0.1)
        return "ok" if now > 30.0 else failure(Kind.SERVER)

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("m", scripted(answer), limits=Limits(concurrency=64))
        await calls(endpoint, 64)
        statistics = endpoint.statistics()
        assert (statistics.responses, statistics.in_flight, statistics.waiting) == (64, 0, 0)
        # 64 in the first moment, some of the 10 that failed before the breaker opened, then one each half second.
        assert 64 + 55 <= statistics.failures[Kind.SERVER] <= 64 + 10 + 60
        assert anyio.current_time() <= 30.0 + 20.0 + 1.0  # a call's own back-off is 20 s at the most

    run(main)


def test_a_server_that_is_not_there_ends_the_run_soon_though_many_call() -> None:
    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint("m", scripted(lambda request: failure(Kind.UNREACHABLE), latency_s=0.01))
        raised = 0

        async def one() -> None:
            nonlocal raised
            with pytest.raises(EndpointError, match="that the server is running"):
                await endpoint.call(X)
            raised += 1

        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(one)
        assert raised == 200
        assert endpoint.statistics().waiting == 0
        assert 15.5 <= anyio.current_time() <= 36.0  # 0.5 + 1 + 2 + 4 + 8 s, and a back-off of 20 s at the most

    run(main)


def test_a_wait_longer_than_our_patience_takes_the_lane_out() -> None:
    async def main(tasks: TaskGroup) -> None:
        tomorrow = CallError(Kind.RATE_LIMITED, "429", retry_after_s=86_400.0)
        endpoint = Endpoint("m", scripted([tomorrow]))
        with pytest.raises(EndpointError, match=r"it asks to wait 86,400 s, longer than `retry.patience_s` = 900"):
            await endpoint.call(X)
        assert anyio.current_time() == 0.0

    run(main)


def test_what_a_lane_costs_is_its_own_price_and_the_estimate_is_the_dearest() -> None:
    async def main(tasks: TaskGroup) -> None:
        answer = Response("ok", usage=Usage(0, 1_000_000))
        lanes = [Lane(scripted([answer]), price=Price(output=usd)) for usd in (1.0, 3.0)]
        endpoint = Endpoint("m", lanes)
        assert endpoint.estimate(CompletionRequest(prompt="", max_tokens=1_000_000)).usd == 3.0
        assert [(await endpoint.call(X)).usage.cost_usd for _ in range(4)] == [1.0, 3.0, 1.0, 3.0]
        assert endpoint.statistics().usage == Usage(0, 4_000_000, 4, 8.0)

    run(main)


async def paid_then(last: Answer) -> BaseException:
    """What a call raises whose first answer was useless and cost 100 tokens."""
    answers: list[Answer] = [CallError(Kind.EMPTY, "no text", usage=Usage(100, 0)), last]
    raised: list[BaseException] = []

    async def one() -> None:
        endpoint = Endpoint("m", scripted(answers, repeat=False, latency_s=1.0))
        try:
            await endpoint.call(X)
        except BaseException as error:
            raised.append(error)
            raise

    with anyio.move_on_after(1.8):
        try:
            await one()
        except Exception as error:
            assert raised == [error]
    return raised[0]


@pytest.mark.parametrize("last", ["in flight", failure(Kind.AUTH), failure(Kind.BAD_REQUEST), KeyError("bug")])
def test_what_was_paid_reaches_the_caller_however_the_call_ends(last: Answer) -> None:
    async def main(tasks: TaskGroup) -> None:
        error = await paid_then(last)
        assert vars(error)["usage"] == Usage(100, 0)

    run(main)


def test_a_server_that_refuses_the_key_amid_a_race_ends_those_in_line() -> None:
    answers = iter([("ok", 0.0), (failure(Kind.AUTH), 1.0), ("ok", 1.0)])
    ended: list[str] = []

    async def answer(request: Request) -> Answer:
        said, seconds = next(answers)
        await anyio.sleep(seconds)
        return said

    async def main(tasks: TaskGroup) -> None:
        endpoint = Endpoint(
            "m", scripted(answer), limits=Limits(concurrency=2), hedge=HedgePolicy(quantile=0.5, budget=0.9)
        )
        assert endpoint._hedges is not None
        for _ in range(50):
            endpoint._hedges.took(0.5)

        async def one(start: float) -> None:
            await anyio.sleep(start)
            try:
                await endpoint.call(X)
                ended.append("answered")
            except EndpointError:
                ended.append("refused")

        for start in (0.0, 0.0, 1.0):
            tasks.start_soon(one, start)

    run(main)
    assert ended == ["answered", "answered", "refused"]


kinds = st.sampled_from([None, None, None, *sorted({*Kind} - {Kind.UNREACHABLE})])


@settings(max_examples=60, deadline=None)
@given(
    lanes=st.lists(st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(30, 600))), min_size=1, max_size=3),
    outcomes=st.lists(st.tuples(kinds, st.floats(0.0, 3.0)), min_size=1, max_size=30),
    callers=st.lists(
        st.tuples(st.floats(0, 10), st.integers(0, 2), st.one_of(st.none(), st.floats(0, 8))), max_size=30
    ),
    hedge=st.sampled_from([None, HedgePolicy(quantile=0.5, budget=0.9)]),
)
def test_whatever_happens_nothing_is_left_and_no_lane_is_overrun(
    lanes: list[tuple[int, int | None]],
    outcomes: list[tuple[Kind | None, float]],
    callers: list[tuple[float, int, float | None]],
    hedge: HedgePolicy | None,
) -> None:
    under_way, most, turn = Counter[int](), Counter[int](), 0

    def model(number: int) -> Callable[[Request], Awaitable[Answer]]:
        async def answer(request: Request) -> Answer:
            nonlocal turn
            kind, seconds = outcomes[turn % len(outcomes)]
            turn += 1
            under_way[number] += 1
            most[number] = max(most[number], under_way[number])
            try:
                await anyio.sleep(seconds)
            finally:
                under_way[number] -= 1
            return "ok" if kind is None else failure(kind)

        return answer

    async def one(start: float, priority: int, patience: float | None) -> None:
        await anyio.sleep(start)
        with anyio.move_on_after(patience):
            try:
                await endpoints[0].call(X, priority=priority)
            except (CallError, EndpointError):
                ended["failed"] += 1
            else:
                ended["answered"] += 1
            return
        ended["cancelled"] += 1

    async def main(tasks: TaskGroup) -> None:
        made = [
            Lane(scripted(model(n)), limits=Limits(concurrency=concurrency, requests_per_minute=rate))
            for n, (concurrency, rate) in enumerate(lanes)
        ]
        endpoints.append(Endpoint("m", made, hedge=hedge, retry=RetryPolicy(patience_s=100.0)))
        if hedges := endpoints[0]._hedges:
            for _ in range(50):
                hedges.took(0.5)
        for start, priority, patience in callers:
            tasks.start_soon(one, start, priority, patience)

    endpoints: list[Endpoint] = []
    ended = Counter[str]()
    run(main)
    statistics = endpoints[0].statistics()
    assert ended.total() == len(callers)
    assert (statistics.in_flight, statistics.waiting, under_way.total()) == (0, 0, 0)
    assert all(most[n] <= concurrency for n, (concurrency, _) in enumerate(lanes))
    assert statistics.requests == turn
    assert statistics.hedges <= 0.9 * (statistics.requests - statistics.hedges)
