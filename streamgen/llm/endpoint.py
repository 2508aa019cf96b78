"""One LLM server with its limits, retries and prices: every call of a run goes through here."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from statistics import quantiles
from typing import Annotated, NoReturn

import anyio
import msgspec

from streamgen.errors import EndpointError
from streamgen.llm.limits import Limiter, Limits, Pass
from streamgen.llm.model import ChatRequest, Model, Request, Response
from streamgen.llm.retry import FATAL, PAID, CallError, Kind, RetryPolicy, Tries
from streamgen.llm.tokens import TokenEstimate
from streamgen.llm.told import Told
from streamgen.record import NO_USAGE, Usage

_Dollars = Annotated[float, msgspec.Meta(ge=0)]

_TELLS_LOAD = {Kind.RATE_LIMITED, Kind.OVERLOADED}
_NOT_WORKED_ON = {*_TELLS_LOAD, *FATAL, Kind.BAD_REQUEST}  # the server took no tokens


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD per million tokens read (`input`) and written (`output`)."""

    input: _Dollars = 0.0
    output: _Dollars = 0.0

    def usd(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What these tokens cost.

        >>> Price(input=0.5, output=2.0).usd(1_000_000, 500_000)
        1.5
        """
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


class Estimate(msgspec.Struct, frozen=True):
    """About what a call will take, for a budget to reserve."""

    tokens: int
    usd: float


class Latency(msgspec.Struct, frozen=True):
    """Seconds from sending to the answer, of the last 1,000 answers."""

    p50_s: float = 0.0
    p95_s: float = 0.0
    max_s: float = 0.0


class EndpointStatistics(msgspec.Struct, frozen=True):
    """What an endpoint did and does. `requests` were sent, `responses` of them brought an answer."""

    name: str
    requests: int
    responses: int
    failures: Mapping[Kind, int]
    retries: Mapping[Kind, int]
    in_flight: int
    waiting: int
    concurrency: int
    usage: Usage
    latency: Latency


class _Waiter:
    """A call in line. It owns a slot from `granted` on, whether or not it has woken up yet."""

    __slots__ = ("event", "granted", "is_gone", "tokens")

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.event = asyncio.Event()
        self.granted: Pass | None = None
        self.is_gone = False


class Endpoint:
    """Calls one model within its limits, and calls again what failed.

    Calls wait in line by priority (higher first: later stages, so that work in progress ends), then in the order in
    which they came. A slot goes straight to the call whose turn it is: only that one wakes up. No slot is held while
    a retry waits. `clock` has to tick like the event loop's.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        *,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        price: Price | None = None,
        clock: Callable[[], float] = anyio.current_time,
        rng: Random | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.price = price
        self._retry = retry or RetryPolicy()
        self._clock = clock
        self._rng = rng or Random()
        self._limiter = Limiter(limits or Limits())
        self._estimate = TokenEstimate()
        self._line: list[tuple[int, int, _Waiter]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None  # for the next in line, where it waits for a time
        self._timer_at = math.inf
        self._waiting = 0
        self._fatal: str | None = None
        self._requests = self._responses = 0
        self._failures: Counter[Kind] = Counter()
        self._retries: Counter[Kind] = Counter()
        self._usage = NO_USAGE if price is None else Usage(calls=0, cost_usd=0.0)
        self._latencies: deque[float] = deque(maxlen=1000)

    async def call(self, request: Request, *, priority: int = 0) -> Response:
        """The answer, with everything that was paid for it (useless answers too) in its usage.

        Raises CallError when the request cannot be answered, and EndpointError, now and at every later call,
        when the endpoint cannot be used.
        """
        tries = Tries(self._retry, self._rng, self._clock())
        wasted = NO_USAGE
        while True:
            try:
                response = await self._attempt(request, priority)
                return _with_usage(response, response.usage + wasted) if wasted.calls else response
            except CallError as error:
                wasted += error.usage
                wait_s = tries.wait_s(error, self._clock())
                if wait_s is None:
                    error.usage = wasted
                    self._give_up(error)
                self._retries[error.kind] += 1
                if error.kind in PAID:
                    request = _reseeded(request)
            await anyio.sleep(wait_s)

    def estimate(self, request: Request) -> Estimate:
        """About what a call with this request will take, from its length and the answers so far."""
        read, written = self._estimate.prompt_tokens(request), self._estimate.completion_tokens(request)
        return Estimate(read + written, self.price.usd(read, written) if self.price else 0.0)

    def statistics(self) -> EndpointStatistics:
        """What was sent, answered, paid and retried up to now."""
        return EndpointStatistics(
            name=self.name,
            requests=self._requests,
            responses=self._responses,
            failures=dict(self._failures),
            retries=dict(self._retries),
            in_flight=self._limiter.in_flight,
            waiting=self._waiting,
            concurrency=self._limiter.concurrency,
            usage=self._usage,
            latency=_latency(self._latencies),
        )

    async def aclose(self) -> None:
        """Close the model's connections."""
        await self.model.aclose()

    def __repr__(self) -> str:
        return (
            f"<Endpoint {self.name}: {self._limiter.in_flight} of {self._limiter.concurrency} in flight, "
            f"{self._waiting} waiting, {self._requests} sent>"
        )

    async def _attempt(self, request: Request, priority: int) -> Response:
        tokens = self.estimate(request).tokens
        pass_ = await self._turn(priority, tokens)
        self._requests += 1
        try:
            response = await self._ask(request)
            self._answered(pass_, response)
            return response
        except CallError as error:
            self._failed(pass_, error)
            raise
        except BaseException:
            self._limiter.cancelled(pass_, self._clock(), tokens)
            raise
        finally:
            self._dispatch()

    async def _ask(self, request: Request) -> Response:
        if isinstance(request, ChatRequest):
            response = await self.model.chat(request)
        else:
            response = await self.model.complete(request)
        usage = self._estimate.usage(request, response)
        self._estimate.learn(request, usage)
        return _with_usage(response, self._pay(usage))

    def _answered(self, pass_: Pass, response: Response) -> None:
        now = self._clock()
        self._responses += 1
        self._latencies.append(now - pass_.at)
        self._limiter.answered(pass_, now, response.usage.tokens, response.told)

    def _failed(self, pass_: Pass, error: CallError) -> None:
        now = self._clock()
        self._failures[error.kind] += 1
        if error.usage.calls:
            error.usage = self._pay(error.usage)
        if error.kind in _TELLS_LOAD:
            wait_s = min(error.retry_after_s or 0.0, self._retry.patience_s)
            by_rate = error.kind is Kind.RATE_LIMITED
            self._limiter.refused(pass_, now, Told(retry_after_s=wait_s), by_rate=by_rate)
        elif error.kind in PAID:
            self._limiter.answered(pass_, now, error.usage.tokens or pass_.tokens, None)
        else:
            used = 0 if error.kind in _NOT_WORKED_ON else error.usage.tokens or pass_.tokens
            tells_load = error.kind in (Kind.TIMEOUT, Kind.RESET)
            self._limiter.failed(pass_, now, used, tells_load=tells_load)

    def _pay(self, usage: Usage) -> Usage:
        if self.price:
            cost_usd = self.price.usd(usage.prompt_tokens, usage.completion_tokens)
            usage = Usage(usage.prompt_tokens, usage.completion_tokens, usage.calls, cost_usd)
        self._usage += usage
        return usage

    def _give_up(self, error: CallError) -> NoReturn:
        if error.kind not in FATAL:
            raise error
        self._fatal = self._fatal or f"endpoint {self.name!r}: {error}; {FATAL[error.kind]}"
        for _, _, waiter in self._line:
            waiter.event.set()
        raise EndpointError(self._fatal) from error

    async def _turn(self, priority: int, tokens: int) -> Pass:
        """Wait in line; afterwards the caller owns a slot and has to give it back."""
        if self._fatal:
            raise EndpointError(self._fatal)
        if not self._line and self._limiter.ready_at(tokens, now := self._clock()) <= now:
            return self._limiter.start(tokens, now)
        waiter = _Waiter(tokens)
        heapq.heappush(self._line, (-priority, next(self._numbers), waiter))
        self._waiting += 1
        self._dispatch()
        try:
            await waiter.event.wait()
            if self._fatal or not waiter.granted:
                raise EndpointError(self._fatal or f"endpoint {self.name!r}: a call was woken before its turn")
            return waiter.granted
        except BaseException:
            self._leave(waiter)
            raise
        finally:
            self._waiting -= 1

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.granted:
            self._limiter.withdraw(waiter.granted, self._clock())
        waiter.is_gone = True
        self._dispatch()

    def _dispatch(self) -> None:
        """Give slots to those whose turn it is, and come back when the next one may start."""
        now, ready_at = self._clock(), math.inf
        while self._line:
            waiter = self._line[0][2]
            if not waiter.is_gone:
                ready_at = self._limiter.ready_at(waiter.tokens, now)
                if ready_at > now:
                    break
                waiter.granted = self._limiter.start(waiter.tokens, now)
                waiter.event.set()
            heapq.heappop(self._line)
        self._come_back(ready_at if self._line else math.inf, now)

    def _come_back(self, at: float, now: float) -> None:
        if at == self._timer_at:
            return
        if self._timer:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at == math.inf else asyncio.get_running_loop().call_later(at - now, self._time_has_come)

    def _time_has_come(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._dispatch()


def _reseeded(request: Request) -> Request:
    """The same request with the next seed: asked with the same one, a server may give the same useless answer."""
    if request.seed is None:
        return request
    return msgspec.structs.replace(request, seed=(request.seed + 1) & 0x7FFF_FFFF)


def _with_usage(response: Response, usage: Usage) -> Response:
    return Response(response.text, response.finish_reason, usage, response.model, response.reasoning)


def _latency(seconds: deque[float]) -> Latency:
    if len(seconds) < 2:
        return Latency(*(max(seconds, default=0.0),) * 3)
    cuts = quantiles(seconds, n=20, method="inclusive")
    return Latency(p50_s=cuts[9], p95_s=cuts[18], max_s=max(seconds))
