"""A run: a recipe in execution. Iterate over it to get its records as they are accepted; `opening.py` makes it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from anyio.abc import TaskStatus

from streamgen.assembly import Parts
from streamgen.clerk import Clerk
from streamgen.context import Context, StageContext
from streamgen.engine.ack import Ack
from streamgen.engine.run import Engine, Source
from streamgen.errors import BudgetExhausted, StreamgenError
from streamgen.gate import Gate
from streamgen.llm.statistics import EndpointStatistics
from streamgen.pace import Pace
from streamgen.record import Record, Value, decode
from streamgen.summary import EXIT_CODES, End, Reason, RunStatistics, Summary
from streamgen.tickets import Tickets
from streamgen.tuning import Tuned

if TYPE_CHECKING:
    from streamgen.control.controller import ControllerSummary

_encode = msgspec.json.Encoder().encode
_HEARTBEAT_S = 5.0  # how much of a session's time and statistics a crash may lose
_STOPPED = "stopped before the end"
WINDOW = 256  # records that a run may be ahead of its consumer


class Run:
    """Made by `streamgen.open`, which keeps it alive. Everything here belongs to the event loop's thread.

    Whoever iterates sets the pace: when the consumer is `window` records behind, no more are accepted, mailboxes fill
    and calls stop.
    """

    def __init__(self, parts: Parts, window: int = WINDOW, tickets: int | None = None) -> None:
        self.recipe, self.directory = parts.recipe, parts.directory
        self._parts, self._journal, self._tuning = parts, parts.journal, parts.tuning
        self._pace = Pace(parts.journal, window)
        past = parts.past
        self._clerk = clerk = Clerk(parts.journal, parts.controller, past.sessions + 1, past.bad_rows, past.moments)
        self._gate = Gate(
            parts.plan.graph, parts.journal, parts.demand, self._pace,
            accepted=past.accepted, surplus=past.surplus, metrics=parts.metrics,
            collect=parts.controller is not None, on_unfit=clerk.unfit,
        )  # fmt: skip
        self._tickets = Tickets(
            parts.rows, parts.tuning, parts.recipe.seed, path=parts.plan.graph.path,
            unsettled=past.unsettled, following=past.following,
            on_bad=clerk.bad_row, on_place=clerk.place,
        )  # fmt: skip
        self._engine = Engine(
            parts.plan.graph, self._source(tickets), self._gate.accept, self, parts.demand,
            bounds=parts.recipe.run.bounds, on_letter=clerk.letter,
            on_settled=lambda acks: clerk.settled(acks, self._gate),
        )  # fmt: skip
        self._engine.is_tuned = parts.tuning.is_tuned
        self._engine.is_paused = lambda: self._pace.is_waiting
        self._ended = anyio.Event()
        self._end = End()
        self._is_interrupted = self._is_stopped = False
        self._work = anyio.CancelScope()
        self._error: Exception | None = None
        self._is_error_told = False

    def __repr__(self) -> str:
        return f"<Run {self.recipe.name}: {self._journal.last_seq} accepted, {self._end.reason}, {self._engine!r}>"

    def __aiter__(self) -> AsyncIterator[Record]:
        return self.records()

    async def records(self, since: int = 0) -> AsyncIterator[Record]:
        """Accepted records behind the `since`-th, in order of acceptance, those of earlier sessions first.

        Raises what ended the run, where that was an error.
        """
        self._pace.reached(since)
        while await self._journal.accepted_beyond(since):
            for stored in await self._journal.read(since, self._pace.window):
                since = stored.seq
                self._pace.reached(since)
                yield decode(stored.body)
        await self._ended.wait()
        self._raise_error()

    async def finish(self) -> Summary:
        """Wait for the end without reading the records. Raises what ended the run, where that was an error."""
        self._pace.release()
        await self._ended.wait()
        self._raise_error()
        return self.summary()

    def stop(self, *, interrupted: bool = False) -> None:
        """Issue no more tickets: what is in flight is finished and kept, and the run can be resumed."""
        self._is_stopped, self._is_interrupted = True, self._is_interrupted or interrupted
        self._engine.stop(_STOPPED)

    def cancel(self) -> None:
        """Give up what is in flight, now; what was accepted is kept, and the run can be resumed."""
        self._is_stopped = self._is_interrupted = True
        self._work.cancel()

    def retune(self, settings: Mapping[str, Value]) -> None:
        """Use these settings, as `stage.setting`, for every ticket that has not begun. Raises RecipeError."""
        first = self._tuning.retune(self._tickets.next_ticket, settings)
        self._engine.is_tuned = True
        self._journal.append("retunes", first, _encode(self._tuning.overrides))

    def statistics(self) -> RunStatistics:
        """Counts, times and spending as they are now."""
        endpoints = [endpoint.statistics() for endpoint in self._parts.plan.endpoints.values()]
        return RunStatistics(
            self.recipe.name,
            self._journal.accepted,
            self.recipe.run.accept,
            self._clerk.surplus,
            self._clerk.failed,
            self._engine.statistics(),
            endpoints,
            self._parts.ledger.spent(),
            self._parts.metrics.results(),
            self._parts.ledger.spends(),
            self._parts.caller.structured(),
            self._warnings(endpoints),
        )

    def _warnings(self, endpoints: Sequence[EndpointStatistics]) -> list[str]:
        known = self._parts.known
        own = known.warning if known else None
        return [*(warning for endpoint in endpoints for warning in endpoint.warnings), *([own] if own else [])]

    def summary(self) -> Summary:
        """How the run ended, or stands."""
        directory = None if self.directory is None else str(self.directory)
        files = [projection.file for projection in self._parts.projections if projection.file]
        return Summary(self._end, self.statistics(), directory, files, self.trials())

    def trials(self) -> ControllerSummary | None:
        """The controller's trials, None where the recipe has no controller."""
        return self._parts.controller.summary() if self._parts.controller else None

    def _source(self, most: int | None) -> Source:
        """The tickets, or the first few of them."""
        if most is None:
            return self._tickets
        from streamgen.few_tickets import FewTickets

        return FewTickets(self._tickets, most, lambda: self._engine.stop(f"{most} tickets were issued"))

    # What handlers get (the engine's `Contexts`)

    def for_record(self, stage: str, record: Record, ack: Ack) -> Context[Any]:
        """The context of one record."""
        tuned: Tuned = ack.settings
        return Context(
            stage, tuned.stages[stage],
            ticket=ack.ticket, record_id=record.id, seed=self.recipe.seed, caller=self._parts.caller,
        )  # fmt: skip

    def for_batch(self, stage: str, settings: Tuned) -> StageContext[Any]:
        """The context of a micro-batch."""
        return settings.batch_context(stage)

    # Life and end

    async def live(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run to the end and keep what ended it. However it ends, sinks and journal are brought to rest."""
        try:
            task_status.started()
            await self._journaled()
        except Exception as error:
            self._fail(error)
        finally:
            with anyio.CancelScope(shield=True):
                await self._close_endpoints()
            self._end = self._ending()
            self._journal.complete()
            self._ended.set()

    async def _journaled(self) -> None:
        """The run, with the journal's writer beside it from before the beginning until after the end."""
        async with anyio.create_task_group() as writer:
            writer.start_soon(_shielded, self._journal.run)
            try:
                await self._projected()
            except Exception as error:
                self._fail(error)
            finally:
                self._end = self._ending()
                self._parts.metrics.end()
                if self._parts.known:
                    self._parts.known.close()  # after which it is known what could not be written
                self._clerk.session(self._end, self.statistics())
                self._journal.close()

    async def _projected(self) -> None:
        """The production, with the sinks beside it."""
        async with anyio.create_task_group() as sinks:
            for projection in self._parts.projections:
                sinks.start_soon(_shielded, projection.run)
            try:
                with self._work:
                    await self._produce()
            except anyio.get_cancelled_exc_class():
                self._is_stopped = True
                raise
            finally:
                self._journal.complete()

    async def _produce(self) -> None:
        controller = self._parts.controller
        async with anyio.create_task_group() as heart:
            heart.start_soon(self._beat)
            heart.start_soon(self._stop_in_time)
            async with anyio.create_task_group() as learning:
                if controller:
                    learning.start_soon(controller.run)
                await self._engine.run()
                if controller:
                    controller.close()
            heart.cancel_scope.cancel()

    async def _beat(self) -> None:
        while True:
            self._clerk.session(self._end, self.statistics())
            await anyio.sleep(_HEARTBEAT_S)

    async def _stop_in_time(self) -> None:
        """End a run whose minutes are used up, also where no call asks for them. What is in flight ends first."""
        ledger, caller = self._parts.ledger, self._parts.caller
        if (left_s := ledger.seconds_left()) < math.inf:
            await anyio.sleep(left_s)
            caller.stopped_by = caller.stopped_by or ledger.out_of_time()
            self._engine.stop(str(caller.stopped_by))
            for endpoint in self._parts.plan.endpoints.values():
                endpoint.refuse(ledger.out_of_time)

    async def _close_endpoints(self) -> None:
        for endpoint in self._parts.plan.endpoints.values():
            try:
                await endpoint.aclose()
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or _unwrapped(error)

    def _ending(self) -> End:
        reason, message = self._why()
        exit_code = getattr(self._error, "exit_code", 1) if self._error else EXIT_CODES[reason]
        return End(reason, message, exit_code)

    def _why(self) -> tuple[Reason, str]:
        demand, stopped_by = self._parts.demand, self._parts.caller.stopped_by
        if self._error:
            return "failed", str(self._error) or type(self._error).__name__
        if demand.missing == 0:
            return "done", f"{self._journal.last_seq} records accepted"
        if isinstance(stopped_by, BudgetExhausted):
            return "budget", str(stopped_by)
        if self._is_interrupted:
            return "interrupted", "interrupted; run the same command again to go on"
        if self._is_stopped or demand.outstanding or self._engine.stop_reason:
            why = self._engine.stop_reason or _STOPPED
            return "stopped", f"{why}; run the same command again to go on"
        if demand.missing is None and self._clerk.bad_rows and not self._journal.last_seq:
            return "source_ended", (
                f"the source has ended and nothing was accepted; {self._clerk.bad_rows} of its rows cannot be read: "
                "the dead letters tell which"
            )
        if demand.missing is None:
            return "done", f"the source has ended; {self._journal.last_seq} records accepted"
        wanted = self.recipe.run.accept
        return "source_ended", (
            f"the source has ended with {self._journal.last_seq} of {wanted} records accepted; "
            "give it more rows, set `repeat = true`, or ask for fewer"
        )

    def _raise_error(self) -> None:
        if self._error is not None:
            self._is_error_told = True
            raise self._error

    async def leave(self) -> None:
        """Drain: what the `async with` block's end does. Raises what ended the run, if nobody was told."""
        self._pace.release()
        if not self._ended.is_set():
            self.stop()
            await self._ended.wait()
        if not self._is_error_told:
            self._raise_error()


async def _shielded(work: Callable[[], Awaitable[None]]) -> None:
    """Only the end of the work ends it, not a cancellation."""
    with anyio.CancelScope(shield=True):
        await work()


def _unwrapped(error: BaseException) -> Exception:
    """The one error of a group of one; of several, the first that the user can act on."""
    while isinstance(error, BaseExceptionGroup):
        known = [inner for inner in error.exceptions if isinstance(inner, StreamgenError)]
        error = (known or error.exceptions)[0]
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
