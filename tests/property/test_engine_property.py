"""Random graphs of random stages against a model that follows each record by itself, on virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import count, pairwise
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.engine.ack import Ack, Desk, Outcome
from streamgen.engine.actor import Letter
from streamgen.engine.demand import Demand
from streamgen.engine.graph import SINK, SOURCE, build_graph
from streamgen.engine.mailbox import Block, Mailbox
from streamgen.engine.run import Bounds, Engine
from streamgen.engine.stage import Drop, Handler, Kind, Result, Stage
from streamgen.errors import FatalError, StopRun
from streamgen.record import Record, size_bytes
from streamgen.virtual_time import run_virtual

TRUSTING = Bounds(failure_share=1.0, barren_tickets=10**9)
FATES = ("same", "same", "same", "true", "true", "false", "none", "empty", "drop", "one", "two", "three", "fail")
COPIES = {"same": 1, "true": 1, "one": 1, "two": 2, "three": 3}
REASON = {"drop": "unlucky"}  # anything else is dropped for its stage's name


class Plan(NamedTuple):
    stages: tuple[Stage, ...]
    kinds: tuple[Kind, ...]
    seed: int
    in_flight: int


def text_of(ticket: int, seed: int) -> str:
    return "x" * (crc32(f"{seed}/{ticket}".encode()) % 700)


def fate(seed: int, stage: str, record_id: str) -> str:
    return FATES[crc32(f"{seed}/{stage}/{record_id}".encode()) % len(FATES)]


def untold(record: Record, context: object) -> Result:
    """Stands in a plan until its kind decides."""


@st.composite
def plans(draw: st.DrawFn, *, chain: bool = False) -> Plan:
    names = [f"s{index}" for index in range(draw(st.integers(1, 4)))]
    stages, kinds = [], []
    for index, name in enumerate(names):
        before = [SOURCE, *names[:index]]
        inputs = before[-1:] if chain else draw(st.lists(st.sampled_from(before), min_size=1, max_size=3, unique=True))
        stages.append(
            Stage(
                name=name,
                handler=untold,
                inputs=tuple(inputs),
                parallel=draw(st.integers(1, 5)),
                batch=draw(st.integers(1, 9)),
                capacity=draw(st.integers(1, 12)),
                capacity_bytes=draw(st.none() | st.integers(1, 3000)),
                ordered=chain or draw(st.booleans()),
            )
        )
        kinds.append(draw(st.sampled_from(Kind)))
    return Plan(tuple(stages), tuple(kinds), draw(st.integers(0, 2**16)), draw(st.integers(1, 40)))


class Watched(Demand):
    """A demand that holds itself to its promise."""

    async def take(self, limit: int) -> int:
        taken = await super().take(limit)
        assert taken <= limit
        assert not taken or self.outstanding <= self.line <= self.in_flight
        return taken


class World:
    """An engine for a plan, and all that can be seen of it."""

    def __init__(self, plan: Plan, tickets: int | None = None, missing: int | None = None) -> None:
        self.plan, self.left = plan, tickets
        self.numbers, self.random = count(), Random(plan.seed)
        self.settled: Counter[int] = Counter()
        self.outcomes: dict[int, Outcome] = {}
        self.letters: list[Letter] = []
        self.stored: list[Record] = []
        self.went_on: defaultdict[str, set[str]] = defaultdict(set)
        self.mixed: list[object] = []
        self.trial_of: Callable[[int], object] = lambda ticket: None
        self.before_call: Callable[[Record], None] = lambda record: None
        self.after_settling: Callable[[], None] = lambda: None
        self.before_storing: Callable[[], None] = lambda: None
        self.demand = Watched(plan.in_flight, missing)
        stages = [self._with_handler(stage, kind) for stage, kind in zip(plan.stages, plan.kinds, strict=True)]
        self.engine = Engine(
            build_graph(stages),
            self,
            self._accept,
            self,
            self.demand,
            bounds=TRUSTING,
            on_settled=self._note,
            on_letter=self.letters.append,
        )

    async def take(self, credits: int, desk: Desk) -> Block:
        assert self.demand.outstanding <= self.demand.in_flight
        if self.random.random() < 0.3:
            await asyncio.sleep(self.random.random())
        size = credits if self.left is None else min(credits, self.left)
        if self.left is not None:
            self.left -= size
        numbers = [next(self.numbers) for _ in range(size)]
        records = [Record(str(number), {"text": text_of(number, self.plan.seed)}) for number in numbers]
        return Block(records, [Ack(number, desk, self.trial_of(number)) for number in numbers])

    def for_record(self, stage: str, record: Record, ack: Ack) -> object:
        assert str(ack.ticket) == ticket_of(record)
        if ack.settings is not self.trial_of(ack.ticket):
            self.mixed.append(record)
        return ack.settings

    def for_batch(self, stage: str, settings: object) -> object:
        return settings

    async def _accept(self, block: Block) -> None:
        self.before_storing()
        if self.random.random() < 0.3:
            await asyncio.sleep(self.random.random())
        counted = len(block.records) if self.demand.missing is None else min(len(block.records), self.demand.missing)
        for index, ack in enumerate(block.acks):
            ack.accepted += index < counted
            ack.surplus += index >= counted
        self.stored += block.records
        self.demand.accept(counted)

    def _note(self, acks: Sequence[Ack]) -> None:
        for ack in acks:
            self.settled[ack.ticket] += 1
            self.outcomes[ack.ticket] = ack.outcome
        self.after_settling()

    def _with_handler(self, stage: Stage, kind: Kind) -> Stage:
        def act(record: Record) -> Result:
            self.went_on[stage.name].discard(record.id)  # a batch that raised comes again, record by record
            self.before_call(record)
            what = fate(self.plan.seed, stage.name, record.id)
            if what == "fail":
                raise ValueError(record.id)
            if what in COPIES:
                self.went_on[stage.name].add(record.id)
            answers: dict[str, Result] = {"same": record, "true": True, "false": False, "none": None}
            if what in answers:
                return answers[what]
            return Drop("unlucky") if what == "drop" else [record] * COPIES.get(what, 0)

        async def awaiting(record: Record, context: object) -> Result:
            await asyncio.sleep(crc32(f"{record.id}{stage.name}".encode()) % 4)
            return act(record)

        def inline(record: Record, context: object) -> Result:
            return act(record)

        def batch(records: Sequence[Record], context: object) -> Sequence[Result]:
            assert len(records) <= stage.batch
            self.mixed += [r for r in records if self.trial_of(int(ticket_of(r))) is not context]
            return [act(record) for record in records]

        handlers: dict[Kind, Handler] = {Kind.AWAITING: awaiting, Kind.INLINE: inline, Kind.BATCH: batch}
        return Stage(**{**{f: getattr(stage, f) for f in stage.__struct_fields__}, "handler": handlers[kind]})

    def check_bounds(self) -> None:
        """No mailbox ever held more than it may, and none holds anything now."""
        largest = 200 + 700
        for stage in self.plan.stages:
            box = self.engine._boxes[stage.name]
            assert box.peak <= stage.capacity
            assert stage.capacity_bytes is None or box.peak_bytes <= max(stage.capacity_bytes, largest)
            assert stage.capacity_bytes is None or box.peak_bytes <= stage.capacity_bytes or box.peak >= 1
            assert len(box) == 0

    def check_settled(self) -> None:
        """All that was issued has ended once."""
        assert self.settled == Counter(range(self.demand.issued))
        assert self.demand.outstanding == 0
        assert self.demand.settled_tickets == self.demand.issued
        self.check_bounds()

    def check_counts(self) -> None:
        """Every stage's numbers and all that was stored are what the model says."""
        model = follow(self.plan, range(self.demand.issued))
        for stage in self.engine.statistics().stages:
            assert stage.received == model["received"][stage.name]
            assert stage.emitted == model["emitted"][stage.name]
            assert Counter(stage.dropped) == Counter(model["dropped " + stage.name])
            assert sum(stage.failed.values()) == model["failed"][stage.name]
            assert (stage.waiting, stage.in_flight, stage.abandoned) == (0, 0, 0)
        assert Counter(record.id for record in self.stored) == model[SINK]
        assert Counter(letter.stage for letter in self.letters) == model["failed"]


def ticket_of(record: Record) -> str:
    return record.id.split(".")[0].split("/")[0]


def follow(plan: Plan, tickets: Sequence[int]) -> defaultdict[str, Counter[str]]:
    """What each stage must see, by following one record after the other."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    writers = [SOURCE, *(stage.name for stage in plan.stages)]
    readers = {name: [s.name for s in plan.stages if name in s.inputs] or [SINK] for name in writers}

    def send(writer: str, record_id: str) -> None:
        several = len(readers[writer]) > 1
        for reader in readers[writer]:
            arrive(reader, f"{record_id}/{reader}" if several else record_id)

    def arrive(stage: str, record_id: str) -> None:
        if stage == SINK:
            seen[SINK][record_id] += 1
            return
        seen["received"][stage] += 1
        what = fate(plan.seed, stage, record_id)
        if what == "fail":
            seen["failed"][stage] += 1
        elif what not in COPIES:
            seen["dropped " + stage][REASON.get(what, stage)] += 1
        for child in children(what, record_id):
            seen["emitted"][stage] += 1
            send(stage, child)

    for ticket in tickets:
        send(SOURCE, str(ticket))
    return seen


def children(what: str, record_id: str) -> Iterator[str]:
    if what in ("same", "true"):
        yield record_id
    elif what in COPIES:
        yield from (f"{record_id}.{index}" for index in range(COPIES[what]))


@settings(max_examples=200, deadline=None)
@given(plan=plans(), tickets=st.integers(0, 80))
def test_each_ticket_is_settled_once_and_every_record_is_accounted_for(plan: Plan, tickets: int) -> None:
    world = World(plan, tickets)
    run_virtual(world.engine.run)
    assert world.demand.issued == tickets
    world.check_settled()
    world.check_counts()


@settings(max_examples=80, deadline=None)
@given(plan=plans(), after=st.integers(0, 40))
def test_a_stopped_run_settles_all_that_it_issued(plan: Plan, after: int) -> None:
    world = World(plan)

    def stop_in_time() -> None:
        if world.settled.total() >= after:
            world.engine.stop("enough")

    world.after_settling = stop_in_time
    if not after:
        world.engine.stop("at once")
    run_virtual(world.engine.run)
    assert world.demand.issued >= after
    world.check_settled()
    world.check_counts()


@settings(max_examples=60, deadline=None)
@given(plan=plans(), calls=st.integers(1, 40))
def test_tickets_that_a_stop_abandons_are_settled_and_counted_as_such(plan: Plan, calls: int) -> None:
    world = World(plan, 60)
    stopped: set[str] = set()

    def stop_later(record: Record) -> None:
        if stopped or sum(map(len, world.went_on.values())) >= calls:
            stopped.add(ticket_of(record))
            raise StopRun("no more money")

    world.before_call = stop_later
    run_virtual(world.engine.run)
    world.check_settled()
    assert {n for n, outcome in world.outcomes.items() if outcome is Outcome.ABANDONED} == {int(t) for t in stopped}
    for stage in world.engine.statistics().stages:
        ended = sum(stage.dropped.values()) + sum(stage.failed.values()) + stage.abandoned
        assert stage.received == len(world.went_on[stage.name]) + ended


@settings(max_examples=80, deadline=None)
@given(plan=plans(), calls=st.integers(1, 60), how=st.sampled_from(["cancel", "fatal", "sink"]))
def test_wherever_a_run_is_cut_no_ticket_is_settled_twice(plan: Plan, calls: int, how: str) -> None:
    world = World(plan, 60)
    calls_left = iter(range(calls))
    scopes: list[anyio.CancelScope] = []

    def cut(record: Record | None = None) -> None:
        if next(calls_left, None) is None:
            if how == "cancel":
                scopes[0].cancel()
            else:
                raise FatalError("the disk is full")

    if how == "sink":
        world.before_storing = cut
    else:
        world.before_call = cut

    async def main() -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await world.engine.run()
        assert len(asyncio.all_tasks()) == 1

    try:
        run_virtual(main)
    except FatalError as error:
        assert str(error) == "the disk is full"
    else:
        assert (
            scopes[0].cancelled_caught or next(calls_left, None) is not None or world.settled.total() == 60
        )  # or it was over before the cut
    assert max(world.settled.values(), default=1) == 1
    assert world.demand.outstanding == world.demand.issued - world.settled.total()


@settings(max_examples=80, deadline=None)
@given(plan=plans(), missing=st.integers(1, 40))
def test_refill_accepts_exactly_what_is_missing(plan: Plan, missing: int) -> None:
    if not any(follow(plan, range(400))[SINK]):
        return  # nothing can ever pass these stages
    world = World(plan, missing=missing)
    issued_in_time: list[int] = []

    def note_the_end() -> None:
        if not world.demand.missing:
            issued_in_time.append(world.demand.issued)

    world.after_settling = note_the_end
    run_virtual(world.engine.run)
    assert (world.demand.accepted, world.demand.missing) == (missing, 0)
    world.check_settled()
    assert world.demand.issued <= min(issued_in_time)  # less what the source was just being asked for
    world.check_counts()
    surplus = sum(outcome is Outcome.SURPLUS for outcome in world.outcomes.values())
    assert surplus <= plan.in_flight


@settings(max_examples=60, deadline=None)
@given(plan=plans(chain=True), tickets=st.integers(0, 60))
def test_ordered_stages_keep_the_order(plan: Plan, tickets: int) -> None:
    world = World(plan, tickets)
    run_virtual(world.engine.run)
    world.check_settled()
    keys = [[int(part) for part in record.id.split(".")] for record in world.stored]
    assert keys == sorted(keys)


@settings(max_examples=80, deadline=None)
@given(plan=plans(), trials=st.lists(st.integers(1, 7), min_size=1, max_size=12))
def test_a_retune_mixes_settings_neither_in_a_batch_nor_in_a_ticket(plan: Plan, trials: list[int]) -> None:
    trial_of = [{"trial": index} for index, tickets in enumerate(trials) for _ in range(tickets)]
    world = World(plan, len(trial_of))
    world.engine.is_tuned = True
    world.trial_of = trial_of.__getitem__
    run_virtual(world.engine.run)
    assert world.mixed == []
    world.check_settled()
    world.check_counts()


@settings(max_examples=120, deadline=None)
@given(
    capacity=st.integers(1, 6),
    capacity_bytes=st.none() | st.integers(1, 900),
    limit=st.integers(1, 4),
    blocks=st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=9), max_size=8),
    patience=st.lists(st.none() | st.integers(0, 3), min_size=8, max_size=8),
    readers=st.integers(1, 3),
    pause=st.integers(0, 2),
)
def test_a_mailbox_loses_nothing_whoever_is_cancelled(
    capacity: int,
    capacity_bytes: int | None,
    limit: int,
    blocks: list[list[int]],
    patience: list[int | None],
    readers: int,
    pause: int,
) -> None:
    """Each writer has one block and perhaps loses patience; readers are impatient, too, and try again."""
    box = Mailbox(capacity, len(blocks) or 1, limit=limit, capacity_bytes=capacity_bytes)
    arrived: list[str] = []
    was_put: dict[int, bool] = {}

    async def write(writer: int, sizes: list[int]) -> None:
        records = [Record(f"{writer}.{index}", {"text": "x" * size}) for index, size in enumerate(sizes)]
        wait_s = patience[writer]
        with anyio.CancelScope(deadline=float("inf") if wait_s is None else anyio.current_time() + wait_s) as scope:
            await box.put(Block(records, [Ack(writer, Demand(1))] * len(sizes)))
        was_put[writer] = not scope.cancelled_caught
        box.close()

    async def read() -> None:
        while True:
            with anyio.move_on_after(0.5):
                block = await box.take()
                assert len(block.records) <= limit
                arrived.extend(record.id for record in block.records)
                if not block.records:
                    return
                assert capacity_bytes is None or size_bytes(block.records) <= max(capacity_bytes, 600)
            await asyncio.sleep(pause)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for writer, sizes in enumerate(blocks):
                tasks.start_soon(write, writer, sizes)
            if not blocks:
                box.close()
            for _ in range(readers):
                tasks.start_soon(read)

    run_virtual(main)
    assert len(box) == 0
    assert box.peak <= capacity
    assert capacity_bytes is None or box.peak_bytes <= max(capacity_bytes, 600)
    by_writer: defaultdict[int, list[int]] = defaultdict(list)
    for record_id in arrived:
        sender, index = record_id.split(".")
        by_writer[int(sender)].append(int(index))
    for writer, sizes in enumerate(blocks):
        indexes = by_writer[writer]
        assert sorted(indexes) == list(range(len(indexes)))  # whole records from the block's beginning
        assert readers > 1 or all(a < b for a, b in pairwise(indexes))
        assert len(indexes) == len(sizes) or not was_put[writer]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    def trace(seed: int) -> list[tuple[float, str]]:
        stage = Stage(name="s0", handler=untold, inputs=(SOURCE,), parallel=3, capacity=4)
        world = World(Plan((stage,), (Kind.AWAITING,), seed, 9), 50)
        times: list[tuple[float, str]] = []

        async def main() -> None:
            accept: Any = world.engine._accept

            async def accept_and_note(block: Block) -> None:
                await accept(block)
                times.extend((asyncio.get_running_loop().time(), record.id) for record in block.records)

            world.engine._accept = accept_and_note
            await world.engine.run()

        run_virtual(main)
        return times

    assert trace(seed) == trace(seed) != trace(seed + 1)
