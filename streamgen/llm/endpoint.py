"""One model behind its servers and keys: every call of a run goes through here, waits its turn, and is tried again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random

import anyio
import msgspec

from streamgen.errors import EndpointError, StopRun, StreamgenError
from streamgen.llm.attempt import Afford, Attempt, hedged
from streamgen.llm.hedge import HedgePolicy, Hedges
from streamgen.llm.lane import Lane
from streamgen.llm.lanes import Grant, Lanes
from streamgen.llm.limits import Limits
from streamgen.llm.line import Waiter
from streamgen.llm.model import ChatRequest, CompletionRequest, Embedder, Model, Request, Response
from streamgen.llm.price import Estimate, Price
from streamgen.llm.race import Race
from streamgen.llm.retry import CallError, Kind, RetryPolicy
from streamgen.llm.statistics import EndpointStatistics, latency_of
from streamgen.llm.tokens import TokenEstimate
from streamgen.llm.turns import Refusal, Turns

_running_loop = asyncio.get_running_loop


def _loop_time() -> float:
    return _running_loop().time()


class Endpoint:
    """Calls one model within its limits, and calls again what failed.

    Calls wait in one line for all lanes (servers and keys), by priority: higher first (later stages, so that work in
    progress ends), then in the order in which they came. Nothing is held while a retry waits. `clock` has to tick
    like the event loop's.
    """

    def __init__(
        self,
        name: str,
        model: Model | Sequence[Lane],
        *,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        price: Price | None = None,
        hedge: HedgePolicy | None = None,
        clock: Callable[[], float] = _loop_time,
        rng: Random | None = None,
    ) -> None:
        self.name = name
        self._retry = retry or RetryPolicy()
        self._clock = clock
        self._rng = rng or Random()
        lanes = model if isinstance(model, Sequence) else [Lane(model, limits=limits, price=price)]
        self._lanes = Lanes(lanes, self._retry)
        self._hedges = Hedges(hedge, clock) if hedge else None
        self._turns = Turns(self._lanes, clock)
        self._estimate = TokenEstimate()
        self._retries: Counter[Kind] = Counter()

    async def call(self, request: Request, *, priority: int = 0, afford: Afford | None = None) -> Response:
        """The answer, with everything that was paid for it (useless answers too) in its usage.

        Raises CallError when the request cannot be answered, and EndpointError, now and at every later call,
        when no lane of the endpoint can be used, or what `refuse` was given. What was paid without success stands in
        the `usage` of whatever is raised, a cancellation too.
        """
        expected = self._estimate.expect(request)
        place = Waiter(priority, self._clock(), expected[1] + expected[2])
        attempt = Attempt(request, expected, place, afford)
        grant = self._turns.start(place, place.arrived)
        try:
            while True:
                if grant is None:
                    grant = await self._turns.wait(place)
                try:
                    if self._hedges is None:
                        return attempt.total(await self._ask(attempt, attempt.request, grant))
                    return attempt.total(await self._race(attempt, grant, self._hedges))
                except CallError as error:
                    wait_s = self._wait_s(attempt, error)
                if wait_s:
                    await anyio.sleep(wait_s)
                grant = self._turns.start(place, self._clock())
        except BaseException as error:
            if attempt.paid.calls:
                vars(error)["usage"] = attempt.paid
            raise

    def refuse(self, refusal: Refusal) -> None:
        """Send nothing any more: calls in line, and all that come, end with the refusal. Those in flight go on."""
        self._turns.close(refusal)

    def estimate(self, request: Request) -> Estimate:
        """About what a call with this request will take, from its length and the answers so far."""
        _, read, written = self._estimate.expect(request)
        return self._lanes.estimate(read, written)

    def statistics(self) -> EndpointStatistics:
        """What was sent, answered, paid and retried up to now."""
        lanes, hedges = self._lanes, self._hedges
        return EndpointStatistics(
            name=self.name,
            requests=lanes.requests,
            responses=sum(lane.responses for lane in lanes.all),
            failures=dict(lanes.failures),
            retries=dict(self._retries),
            in_flight=lanes.in_flight,
            waiting=self._turns.line.waiting,
            concurrency=lanes.concurrency,
            usage=lanes.usage,
            latency=latency_of([latency_s for lane in lanes.all for latency_s in lane.latencies]),
            hedges=hedges.sent if hedges else 0,
            hedges_won=hedges.won if hedges else 0,
            lanes=tuple(lane.statistics() for lane in lanes.all),
        )

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Its servers and keys."""
        return self._lanes.all

    @property
    def parallel(self) -> int:
        """How many callers can keep it busy: its concurrency, where that is given."""
        return sum(lane.parallel for lane in self._lanes.all)

    @property
    def model(self) -> Model:
        """The first lane's model."""
        return self._lanes.all[0].model

    async def aclose(self) -> None:
        """Close the models' connections."""
        for lane in self._lanes.all:
            await lane.model.aclose()

    def __repr__(self) -> str:
        lanes = self._lanes
        return (
            f"<Endpoint {self.name}: {lanes.in_flight} of {lanes.concurrency} in flight, "
            f"{self._turns.line.waiting} waiting, {lanes.requests} sent>"
        )

    async def _ask(self, attempt: Attempt, request: Request, grant: Grant) -> Response:
        lane, pass_ = grant
        model = lane.model
        lane.requests += 1
        try:
            response = await _sent(model, request)
            usage = self._estimate.settle(attempt.expected, response)
            paid = lane.answered(pass_, self._clock(), usage, response.told)
            attempt.is_answered = True
            if paid is response.usage and response.told is None:
                return response
            return msgspec.structs.replace(response, usage=paid, told=None)
        except CallError as error:
            lane.failed(pass_, now := self._clock(), error)
            attempt.failed(lane, now - pass_.at, error)
            raise
        except BaseException:
            lane.cut(pass_, self._clock())
            attempt.cut(lane)
            raise
        finally:
            if self._turns.line.waiting:
                self._turns.dispatch()

    def _wait_s(self, attempt: Attempt, error: CallError) -> float:
        """Seconds until the next try. Raises what ends the call."""
        if attempt.lane and attempt.lane.is_lost and (loss := self._lanes.loss()):
            raise self._closed(loss) from error
        wait_s = attempt.wait_s(error, self._lanes, self._retry, self._rng, self._clock())
        if wait_s is None:
            raise error
        self._retries[error.kind] += 1
        return wait_s

    def _closed(self, loss: str) -> StreamgenError:
        """What all calls end with from now on."""
        return self._turns.close(partial(EndpointError, f"endpoint {self.name!r}: {loss}"))

    async def _race(self, attempt: Attempt, grant: Grant, hedges: Hedges) -> Response:
        """Ask, and ask a second time where the first request is slow."""
        lane, pass_ = grant
        race = Race(hedges, pass_.at, self._clock)
        first = partial(self._ask, attempt, attempt.request, grant)
        await race.run(first, partial(self._second, race, attempt, lane, hedges))
        for late in race.extra:
            attempt.paid += late.usage
        if not race.answer:
            raise race.errors[-1]
        if race.errors and (loss := self._lanes.loss()):
            self._closed(loss)  # this call has its answer, but those in line would wait for ever
        return race.answer

    async def _second(self, race: Race, attempt: Attempt, first: Lane, hedges: Hedges) -> Response | None:
        """The second request, from its place in line on. None where it was not sent."""
        try:
            if not attempt.affords(self._lanes):
                return None
            place = attempt.place.beside(first)
            grant = self._turns.start(place, self._clock()) or await self._turns.wait(place)
            if race.is_over:  # its own end may have made room for this one
                self._turns.give_back(grant)
                return None
            race.is_hedged = True
        except (EndpointError, StopRun):
            return None
        response = await self._ask(attempt, hedged(attempt.request), grant)
        hedges.won += race.answer is None
        return response


def _sent(model: Model, request: Request) -> Awaitable[Response]:
    if isinstance(request, ChatRequest):
        return model.chat(request)
    if isinstance(request, CompletionRequest):
        return model.complete(request)
    if not isinstance(model, Embedder):
        raise CallError(Kind.BAD_REQUEST, f"{model!r} makes no vectors of texts: it has no `embed`")
    return model.embed(request)
