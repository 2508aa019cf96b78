"""The engine: pumps tickets from the source through the graph's actors into the sink, and settles each once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Annotated, Protocol, TypeAlias

import anyio
import msgspec

from streamgen.engine.ack import Ack, Desk, settle_all
from streamgen.engine.actor import Actor, Contexts, Letter, Surroundings
from streamgen.engine.demand import Demand
from streamgen.engine.graph import SINK, SOURCE, Graph
from streamgen.engine.guard import BarrenGuard, FailureGuard, watch_for_stall
from streamgen.engine.mailbox import NOTHING, Block, Mailbox
from streamgen.engine.outlet import Outlet
from streamgen.engine.stage import Kind, kind_of
from streamgen.engine.statistics import Counts, EngineStatistics
from streamgen.errors import FatalError

_Tickets: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]

_AT_ONCE = 256  # tickets that are asked of the source, or records that are handed to the sink, at a time at most


class Source(Protocol):
    """Where tickets start."""

    async def take(self, credits: int, desk: Desk) -> Block:
        """At most `credits` new tickets' records, each with an ack that reports to `desk`; none at the end.

        Cancelled while it waits when no more tickets are wanted (quota met, `stop`); what it had not returned is
        then nobody's.
        """
        ...


Accept = Callable[[Block], Awaitable[None]]
"""The sink: takes records that passed every stage; returning is a promise to keep them.

It decides which of them count: it adds them to their ack's `accepted` or `surplus` and tells the demand with
`demand.accept(n)`, n <= `demand.missing`. A record whose `ack.abandoned` is set comes again in the next session.
"""


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a run gives up. Seconds, shares 0 to 1, tickets."""

    failure_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    failure_window: _Tickets = 200
    failure_enough: _Tickets = 20
    barren_tickets: _Tickets = 1000
    stall_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0


class Engine:
    """One execution of a graph. `run` returns when the demand is met, the source has ended or `stop` was called."""

    def __init__(
        self,
        graph: Graph,
        source: Source,
        accept: Accept,
        contexts: Contexts,
        demand: Demand,
        *,
        bounds: Bounds = Bounds(),  # noqa: B008  frozen
        on_settled: Callable[[Sequence[Ack]], None] | None = None,
        on_letter: Callable[[Letter], None] | None = None,
    ) -> None:
        self.graph, self.demand, self.bounds = graph, demand, bounds
        self.stop_reason: str | None = None
        self.is_tuned = False  # set once tickets with different settings may be out
        self.is_paused: Callable[[], bool] = lambda: False  # whether the consumer makes the run wait
        self._source, self._accept = source, accept
        self._storing = 0
        self._is_asking = False
        self._asking: anyio.CancelScope  # around the source
        self._now: Callable[[], float] = lambda: 0.0
        self._started = 0.0
        self._watchers: list[Callable[[Sequence[Ack]], None]] = [on_settled] if on_settled else []
        self._watchers += [
            FailureGuard(bounds.failure_share, bounds.failure_window, bounds.failure_enough).watch,
            BarrenGuard(demand, bounds.barren_tickets).watch,
        ]
        demand.on_settled, demand.on_over = self._settled, self._let_go
        around = Surroundings(contexts, on_letter or (lambda letter: None), self.stop, lambda: self.is_tuned)
        self._boxes = self._mailboxes()
        self._actors = [
            Actor(stage, self._boxes[stage.name], self._outboxes(stage.name), around) for stage in graph.stages
        ]

    def __repr__(self) -> str:
        return f"<Engine {self.demand!r} {[f'{a.stage.name}: {a.inbox!r}' for a in self._actors]}>"

    async def run(self) -> None:
        """Run to the end. Raises FatalError (the reason is in it) when the run had to be given up.

        What breaks the run is raised as it is, out of its task groups; an ExceptionGroup means different causes.
        """
        cause: BaseException | None = None
        try:
            await self._run()
        except BaseExceptionGroup as group:
            cause = _cause(group)
        if cause is not None:  # outside the handler, so that the groups do not become its context
            raise cause

    async def _run(self) -> None:
        self._now = _clock()
        self._started = self._now()
        async with anyio.create_task_group() as guards:
            is_paused = lambda: self.is_paused()  # noqa: E731  it may be set while the run goes on
            guards.start_soon(watch_for_stall, self.bounds.stall_s, self._moves, is_paused, self.describe)
            async with anyio.create_task_group() as actors:
                for actor in self._actors:
                    actors.start_soon(actor.run, self._now, name=f"streamgen stage {actor.stage.name}")
                actors.start_soon(self._store, name="streamgen sink")
                actors.start_soon(self._pump, name="streamgen source")
            guards.cancel_scope.cancel()

    def stop(self, reason: str) -> None:
        """Issue no more tickets; what is in flight is drained. The first reason stays."""
        self.stop_reason = self.stop_reason or reason
        self.demand.close()

    def statistics(self) -> EngineStatistics:
        """Every stage's counts and times as they are now."""
        elapsed_s = self._now() - self._started
        return EngineStatistics(
            [a.counts.report(a.stage.name, len(a.inbox), a.workers, elapsed_s) for a in self._actors],
            self.demand.issued,
            self.demand.settled_tickets,
            self.demand.outstanding,
            self.demand.accepted,
            self.demand.acceptance_rate,
            elapsed_s,
        )

    def describe(self) -> str:
        """Which stage waits for what."""
        states = [self._state(actor) for actor in self._actors]
        if self._storing:
            states.append(f"the sink has {self._storing} records in its hands, {len(self._boxes[SINK])} wait for it")
        return "; ".join(state for state in states if state) or "every stage is idle; the source gives no tickets"

    def _state(self, actor: Actor) -> str:
        counts, name = actor.counts, actor.stage.name
        if counts.blocked_on:
            return f"stage {name!r} waits for room in front of {counts.blocked_on!r}"
        if counts.started:
            oldest_s = self._now() - min(counts.started.values())
            return f"stage {name!r} has {len(counts.started)} records in its handler, the oldest for {oldest_s:.0f} s"
        return f"stage {name!r} has {len(actor.inbox)} records waiting" if len(actor.inbox) else ""

    def _mailboxes(self) -> dict[str, Mailbox]:
        boxes = {
            stage.name: Mailbox(
                stage.capacity,
                self.graph.writers(stage.name),
                limit=1 if kind_of(stage.handler) is Kind.AWAITING else stage.batch,
                capacity_bytes=stage.capacity_bytes,
            )
            for stage in self.graph.stages
        }
        return {**boxes, SINK: Mailbox(_AT_ONCE, self.graph.writers(SINK), limit=_AT_ONCE)}

    def _outboxes(self, name: str) -> dict[str, Mailbox]:
        return {reader: self._boxes[reader] for reader in self.graph.readers(name)}

    async def _pump(self) -> None:
        """The source's actor: a ticket for each credit, until there are no more of either."""
        outlet = Outlet(self._outboxes(SOURCE), Counts())
        last = NOTHING
        with anyio.CancelScope() as self._asking:
            last = await self._issue(outlet)
        if last.records:
            await outlet.emit(last)
        outlet.close()

    async def _issue(self, outlet: Outlet) -> Block:
        """Emit what the source gives, but for what it gives while it is being let go."""
        while credits := await self.demand.take(_AT_ONCE):
            block = NOTHING
            self._is_asking = True
            try:
                block = await self._source.take(credits, self.demand)
            finally:
                self._is_asking = False
                self.demand.give_back(credits - len(block.records))
            if len(block.records) > credits:
                raise FatalError(f"the source gave {len(block.records)} tickets for {credits} credits")
            if not block.records or self._asking.cancel_called:
                return block
            await outlet.emit(block)
        return NOTHING

    def _let_go(self) -> None:
        """No more tickets are wanted: a source that waits is not waited for."""
        if self._is_asking:
            self._asking.cancel()

    async def _store(self) -> None:
        """The sink's actor."""
        inbox = self._boxes[SINK]
        while (block := await inbox.take()).records:
            self._storing = len(block.records)
            await self._accept(block)
            self._storing = 0
            settle_all(block.acks)

    def _settled(self, acks: Sequence[Ack]) -> None:
        for watch in self._watchers:
            watch(acks)

    def _moves(self) -> int:
        return self.demand.settled_tickets + sum(a.counts.received + a.counts.emitted for a in self._actors)


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error behind a group; fatal errors of one kind (a wrong key met by each worker) count as one."""
    errors = list(_leaves(group))
    kinds = {type(error) for error in errors}
    if len(errors) == 1 or (len(kinds) == 1 and isinstance(errors[0], FatalError)):
        return errors[0]
    return BaseExceptionGroup("the run broke for several reasons", errors)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _clock() -> Callable[[], float]:
    """The loop's clock, which may be virtual; uvloop's ticks in whole milliseconds, too coarse for inline stages."""
    loop = asyncio.get_running_loop()
    return time.monotonic if type(loop).__module__.startswith("uvloop") else loop.time
