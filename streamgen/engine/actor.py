"""The loops that run a stage: take from the mailbox, call the handler, settle, emit."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import anyio

from streamgen.engine.ack import Ack
from streamgen.engine.mailbox import Block, Mailbox
from streamgen.engine.outlet import Outlet, Turns
from streamgen.engine.results import answers, by_settings, children_of, joined, spread
from streamgen.engine.stage import Drop, Kind, Result, Stage, kind_of
from streamgen.engine.statistics import Counts
from streamgen.errors import FatalError, StopRun
from streamgen.record import Record

_FRAMES = 30  # of a traceback: an exception that is raised again and again grows one without end


class Contexts(Protocol):
    """Makes what handlers get beside their records."""

    def for_record(self, stage: str, record: Record, ack: Ack) -> Any:
        """The context of one record."""
        ...

    def for_batch(self, stage: str, settings: Any) -> Any:
        """The context of a micro-batch; `settings` are those of its tickets' trial."""
        ...


class Letter(NamedTuple):
    """A dead letter: a record that a stage failed on."""

    ticket: int
    stage: str
    record: Record
    error: str
    traceback: str


class Surroundings(NamedTuple):
    """What an actor needs of the engine."""

    contexts: Contexts
    dead_letter: Callable[[Letter], None]
    stop: Callable[[str], None]
    is_tuned: Callable[[], bool]  # whether tickets with different settings may be out


class Actor:
    """A stage at work. Each record that it takes leaves as results, as a drop, as a dead letter, or is abandoned."""

    def __init__(self, stage: Stage, inbox: Mailbox, outboxes: dict[str, Mailbox], around: Surroundings) -> None:
        self.stage, self.inbox, self.kind = stage, inbox, kind_of(stage.handler)
        self.counts = Counts()
        self.outlet = Outlet(outboxes, self.counts)
        self._around = around
        self._handle: Any = stage.handler
        self._work = self._batch if self.kind is Kind.BATCH else self._one_by_one
        self._put_nowait = self.outlet.put_nowait
        self._now: Callable[[], float] = float
        self._turns = Turns() if stage.ordered and self.kind is Kind.AWAITING and stage.parallel > 1 else None

    @property
    def workers(self) -> int:
        """Loops that this stage runs; one for pure work, however parallel it says."""
        return self.stage.parallel if self.kind is Kind.AWAITING else 1

    async def run(self, now: Callable[[], float]) -> None:
        """Work until the mailbox has closed and is empty, then close the outlets."""
        self._now = now
        async with anyio.create_task_group() as tasks:
            for worker in range(self.workers):
                tasks.start_soon(self._await_each if self.kind is Kind.AWAITING else self._sweep, worker)
        self.outlet.close()

    async def _await_each(self, worker: int) -> None:
        """One of `parallel` workers: a record at a time, so that no task is made for a record."""
        now, counts, turns, inbox, outlet = self._now, self.counts, self._turns, self.inbox, self.outlet
        while (block := inbox.take_nowait() or await inbox.take()).records:
            record, ack = block.records[0], block.acks[0]
            turn = turns.next() if turns else 0
            counts.received += 1
            counts.started[worker] = start = now()
            children = await self._attempt(record, ack)
            counts.spent(now() - start, 1)
            if turns:
                await turns.wait(turn)
            stuck = outlet.replace(children, ack)
            if stuck is not None:
                await outlet.send(stuck)
            if turns:
                turns.done(turn)
            del counts.started[worker]

    async def _sweep(self, worker: int) -> None:
        """The single loop of an inline or batch stage: all that waits, up to `batch` at once."""
        inbox, outlet, now, counts = self.inbox, self.outlet, self._now, self.counts
        while (block := await inbox.take()).records:
            counts.started[worker] = start = now()
            taken, stuck = self._burst(block)
            counts.spent(now() - start, taken)
            if stuck is not None:
                await outlet.emit(stuck)
            del counts.started[worker]

    def _burst(self, first: Block) -> tuple[int, Block | None]:
        """Work without a turn of the loop until the mailbox is empty or a reader is full; what it had no room for.

        A burst ends, for while it runs nobody else can put; it costs one clock reading however many blocks it takes.
        """
        work, take, put = self._work, self.inbox.take_nowait, self._put_nowait
        block: Block | None = first
        stuck: Block | None = None
        taken = emitted = 0
        while block is not None:
            taken += len(block.records)
            results = work(block)
            if results.records:
                if not put(results):
                    stuck = results
                    break
                emitted += len(results.records)
            block = take()
        self.counts.received += taken
        self.counts.emitted += emitted
        return taken, stuck

    async def _attempt(self, record: Record, ack: Ack) -> Sequence[Record]:
        """The handler's results for one record; a ticket that is abandoned already is not worth a call."""
        if ack.abandoned:
            self.counts.abandoned += 1
            return ()
        try:
            context = self._around.contexts.for_record(self.stage.name, record, ack)
            return self._children(await self._handle(record, context), record, ack)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return self._failed(error, record, ack)  # something that the handler waited for was cancelled, not we
        except Exception as error:
            return self._failed(error, record, ack)

    def _one_by_one(self, block: Block) -> Block:
        handle, for_record, name = self._handle, self._around.contexts.for_record, self.stage.name
        results: list[Any] = []
        is_map = True
        for record, ack in zip(block.records, block.acks):  # noqa: B905  of one length: Block
            try:
                result = handle(record, for_record(name, record, ack))
                if result is True:
                    result = record
                elif type(result) is not Record:
                    is_map, result = False, self._children(result, record, ack)
            except Exception as error:
                is_map, result = False, self._failed(error, record, ack)
            results.append(result)
        return Block(results, block.acks) if is_map else spread(results, block.acks)

    def _batch(self, block: Block) -> Block:
        if self._around.is_tuned() and len({id(ack.settings) for ack in block.acks}) > 1:
            return joined([self._batch(part) for part in by_settings(block)])
        context = self._around.contexts.for_batch(self.stage.name, block.acks[0].settings)
        try:
            results = self._handle(block.records, context)
            if type(results) is list and [*map(type, results)].count(Record) == len(results) == len(block.records):
                return Block(results, block.acks)
            results = answers(results, block.records)
        except FatalError:
            raise
        except Exception as error:
            return self._isolated(error, block)
        return self._mixed(results, block)

    def _mixed(self, results: Sequence[Result], block: Block) -> Block:
        """A batch of which some were kept as they are, dropped or fanned out."""
        groups: list[Sequence[Record] | Record] = []
        for result, record, ack in zip(results, block.records, block.acks, strict=True):
            try:
                groups.append(record if result is True else self._children(result, record, ack))
            except Exception as error:
                groups.append(self._failed(error, record, ack))
        return spread(groups, block.acks)

    def _isolated(self, error: Exception, block: Block) -> Block:
        """After a batch failed: each record by itself, so that only the bad one is lost."""
        if len(block.records) == 1:
            return spread([self._failed(error, block.records[0], block.acks[0])], block.acks)
        alone = (Block((record,), (ack,)) for record, ack in zip(block.records, block.acks, strict=True))
        return joined([self._batch(one) for one in alone])

    def _children(self, result: Result, record: Record, ack: Ack) -> Sequence[Record]:
        """What goes on in the record's place; drops are noted."""
        children = children_of(result, record, self.stage.name)
        if not isinstance(children, Drop):
            return children
        self.counts.dropped[children.reason] += 1
        ack.drop(self.stage.name, children.reason)
        return ()

    def _failed(self, error: BaseException, record: Record, ack: Ack) -> Sequence[Record]:
        """Turn an exception into a dead letter; what must stop the run goes on up."""
        if isinstance(error, FatalError):
            raise error
        if isinstance(error, StopRun):
            self.counts.abandoned += 1
            ack.abandoned = True
            self._around.stop(str(error))
            return ()
        kind = type(error).__name__
        self.counts.failed[kind] += 1
        ack.error = ack.error or f"{self.stage.name}: {kind}: {error}"
        trace = "".join(traceback.format_exception(error, limit=-_FRAMES))
        self._around.dead_letter(Letter(ack.ticket, self.stage.name, record, f"{kind}: {error}", trace))
        return ()


def _is_cancelled() -> bool:
    """Whether it is this task that is being cancelled."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
