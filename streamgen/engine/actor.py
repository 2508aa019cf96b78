"""The loops that run a stage: take from the mailbox, call the handler, settle, emit."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import anyio

from streamgen.engine.ack import Ack, settle_all
from streamgen.engine.mailbox import Block, Mailbox
from streamgen.engine.stage import Drop, Kind, Result, Stage, kind_of
from streamgen.engine.statistics import Counts
from streamgen.errors import FatalError, StopRun
from streamgen.record import Record

_KINDS_OF_RESULT = "a record, an iterable of records, Drop(reason), True, False or None"


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
    """A stage at work. Each record that it takes leaves as results, as a drop or as a dead letter."""

    def __init__(self, stage: Stage, inbox: Mailbox, outboxes: dict[str, Mailbox], around: Surroundings) -> None:
        self.stage, self.inbox, self.kind = stage, inbox, kind_of(stage.handler)
        self.counts = Counts()
        self.outlet = Outlet(outboxes, self.counts)
        self._around = around
        self._handle: Any = stage.handler
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
        now, counts = self._now, self.counts
        while (block := await self.inbox.take()).records:
            record, ack = block.records[0], block.acks[0]
            turn = self._turns.next() if self._turns else None
            counts.received += 1
            counts.started[worker] = start = now()
            children = await self._attempt(record, ack)
            counts.spent(now() - start, 1)
            if turn is not None and self._turns is not None:
                await self._turns.wait(turn)
            await self.outlet.emit_children(children, ack)
            if turn is not None and self._turns is not None:
                self._turns.done(turn)
            del counts.started[worker]

    async def _sweep(self, worker: int) -> None:
        """The single loop of an inline or batch stage: all that waits, up to `batch` at once."""
        inbox, outlet, now, counts = self.inbox, self.outlet, self._now, self.counts
        while (block := await inbox.take()).records:
            counts.started[worker] = start = now()
            taken, stuck = self._burst(block)
            counts.received += taken
            counts.spent(now() - start, taken)
            if stuck is not None:
                await outlet.emit(stuck)
            del counts.started[worker]

    def _burst(self, block: Block | None) -> tuple[int, Block | None]:
        """Work without a turn of the loop until the mailbox is empty or a reader is full; what it had no room for.

        A burst ends, for while it runs nobody else can put; it costs one clock reading however many blocks it takes.
        """
        work = self._batch if self.kind is Kind.BATCH else self._one_by_one
        take, emit, taken = self.inbox.take_nowait, self.outlet.emit_nowait, 0
        while block is not None:
            taken += len(block.records)
            results = work(block)
            if results.records and not emit(results):
                return taken, results
            block = take()
        return taken, None

    async def _attempt(self, record: Record, ack: Ack) -> Sequence[Record]:
        try:
            context = self._around.contexts.for_record(self.stage.name, record, ack)
            return self._children(await self._handle(record, context), record, ack)
        except Exception as error:
            return self._failed(error, record, ack)

    def _one_by_one(self, block: Block) -> Block:
        handle, for_record, name = self._handle, self._around.contexts.for_record, self.stage.name
        results: list[Any] = []
        is_map = True
        for record, ack in zip(block.records, block.acks, strict=True):
            try:
                result = handle(record, for_record(name, record, ack))
                if type(result) is not Record:
                    is_map, result = False, self._children(result, record, ack)
            except Exception as error:
                is_map, result = False, self._failed(error, record, ack)
            results.append(result)
        return Block(results, block.acks) if is_map else _spread(results, block.acks)

    def _batch(self, block: Block) -> Block:
        if self._around.is_tuned() and len({id(ack.settings) for ack in block.acks}) > 1:
            return _joined([self._batch(part) for part in _by_settings(block)])
        context = self._around.contexts.for_batch(self.stage.name, block.acks[0].settings)
        try:
            results = self._handle(block.records, context)
            if len(results) != len(block.records):
                raise TypeError(f"a batch handler answers each record: {len(block.records)} in, {len(results)} out")
        except Exception as error:
            return self._isolated(error, block)
        if [*map(type, results)].count(Record) == len(results):
            return Block(results, block.acks)
        return self._mixed(results, block)

    def _mixed(self, results: Sequence[Result], block: Block) -> Block:
        """A batch of which some were dropped or fanned out."""
        groups: list[Sequence[Record] | Record] = []
        for result, record, ack in zip(results, block.records, block.acks, strict=True):
            try:
                groups.append(result if type(result) is Record else self._children(result, record, ack))
            except Exception as error:
                groups.append(self._failed(error, record, ack))
        return _spread(groups, block.acks)

    def _isolated(self, error: Exception, block: Block) -> Block:
        """After a batch failed: each record by itself, so that only the bad one is lost."""
        if len(block.records) == 1:
            return _spread([self._failed(error, block.records[0], block.acks[0])], block.acks)
        alone = (Block((record,), (ack,)) for record, ack in zip(block.records, block.acks, strict=True))
        return _joined([self._batch(one) for one in alone])

    def _children(self, result: Result, record: Record, ack: Ack) -> Sequence[Record]:
        """What goes on in the record's place; drops are noted."""
        if isinstance(result, Record):
            return (result,)
        if result is True:
            return (record,)
        if isinstance(result, Drop):
            return self._dropped(result.reason, ack)
        if not result:
            return self._dropped(self.stage.name, ack)
        children = [_checked(child).child(index) for index, child in enumerate(_several(result))]
        return children or self._dropped(self.stage.name, ack)

    def _dropped(self, reason: str, ack: Ack) -> Sequence[Record]:
        self.counts.dropped[reason] += 1
        ack.drop(self.stage.name, reason)
        return ()

    def _failed(self, error: Exception, record: Record, ack: Ack) -> Sequence[Record]:
        """Turn an exception into a dead letter; what must stop the run goes on up."""
        if isinstance(error, FatalError):
            raise error
        if isinstance(error, StopRun):
            ack.abandoned = True
            self._around.stop(str(error))
            return ()
        self.counts.failed[type(error).__name__] += 1
        ack.error = ack.error or f"{self.stage.name}: {type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        self._around.dead_letter(Letter(ack.ticket, self.stage.name, record, f"{type(error).__name__}: {error}", trace))
        return ()


class Outlet:
    """Where a stage's results go. With several readers each gets its own copy, named after the reader."""

    def __init__(self, boxes: dict[str, Mailbox], counts: Counts) -> None:
        self._boxes, self._counts = boxes, counts
        self._only = next(iter(boxes.items())) if len(boxes) == 1 else None

    async def emit_children(self, children: Sequence[Record], ack: Ack) -> None:
        """Settle the one share that these came from, and send them on."""
        ack.settle(len(children) * len(self._boxes))
        if children:
            self._counts.emitted += len(children)
            await self._send(Block(children, (ack,) * len(children)))

    def emit_nowait(self, block: Block) -> bool:
        """Like `emit`, if all of it can be sent without waiting; otherwise change nothing and return False."""
        if self._only is None or not self._only[1].put_nowait(block):
            return False
        self._counts.emitted += len(block.records)
        return True

    async def emit(self, block: Block) -> None:
        """Send on records whose shares are counted already for one reader."""
        self._counts.emitted += len(block.records)
        for _ in range(len(self._boxes) - 1):
            for ack in block.acks:
                ack.live += 1
        await self._send(block)

    async def _send(self, block: Block) -> None:
        if self._only is not None:
            await self._put(*self._only, block)
            return
        for name, box in self._boxes.items():
            copies = [Record(f"{record.id}/{name}", record.columns, record.meta) for record in block.records]
            await self._put(name, box, Block(copies, block.acks))

    async def _put(self, name: str, box: Mailbox, block: Block) -> None:
        if not box.put_nowait(block):
            self._counts.blocked_on = name
            await box.put(block)
            self._counts.blocked_on = None

    def close(self) -> None:
        """Nothing more will come."""
        for box in self._boxes.values():
            box.close()


class Turns:
    """Lets workers that finish in any order leave in the order in which they began."""

    def __init__(self) -> None:
        self._given = self._current = 0
        self._waiting: dict[int, anyio.Event] = {}

    def next(self) -> int:
        """The turn of a record that was just taken."""
        self._given += 1
        return self._given - 1

    async def wait(self, turn: int) -> None:
        """Return when every earlier turn is done."""
        if turn != self._current:
            event = self._waiting[turn] = anyio.Event()
            await event.wait()
            del self._waiting[turn]

    def done(self, turn: int) -> None:
        """Let the next one go."""
        self._current = turn + 1
        if event := self._waiting.get(self._current):
            event.set()


def _several(result: object) -> Iterable[object]:
    if not isinstance(result, Iterable) or isinstance(result, str | bytes | Mapping):
        raise _wrong(result)
    return result


def _checked(child: object) -> Record:
    if not isinstance(child, Record):
        raise _wrong(child)
    return child


def _wrong(result: object) -> TypeError:
    shown = repr(result)[:80]
    return TypeError(f"a handler answers with {_KINDS_OF_RESULT}, not with {type(result).__name__}: {shown}")


def _spread(groups: Sequence[Sequence[Record] | Record], acks: Sequence[Ack]) -> Block:
    """Results in a row, each with its ack; shares are counted, and what came to nothing is settled."""
    records: list[Record] = []
    kept: list[Ack] = []
    ended: list[Ack] = []
    for group, ack in zip(groups, acks, strict=True):
        if isinstance(group, Record):
            records.append(group)
            kept.append(ack)
        elif group:
            records += group
            kept += (ack,) * len(group)
            ack.live += len(group) - 1
        else:
            ended.append(ack)
    settle_all(ended)
    return Block(records, kept)


def _joined(blocks: Sequence[Block]) -> Block:
    return Block([r for block in blocks for r in block.records], [a for block in blocks for a in block.acks])


def _by_settings(block: Block) -> list[Block]:
    """Neighbours with the same settings together, in order."""
    parts: list[tuple[list[Record], list[Ack]]] = []
    for record, ack in zip(block.records, block.acks, strict=True):
        if not parts or parts[-1][1][-1].settings is not ack.settings:
            parts.append(([], []))
        parts[-1][0].append(record)
        parts[-1][1].append(ack)
    return [Block(*part) for part in parts]
