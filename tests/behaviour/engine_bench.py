"""A small engine whose every side can be seen: what the engine's behaviour tests stand on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from streamgen.engine.ack import Ack, Desk, Outcome
from streamgen.engine.actor import Letter
from streamgen.engine.demand import Demand
from streamgen.engine.graph import build_graph
from streamgen.engine.mailbox import Block
from streamgen.engine.run import Bounds, Engine
from streamgen.engine.stage import Stage
from streamgen.engine.statistics import StageStatistics
from streamgen.record import Record


class Tickets:
    """A source of `total` tickets (None: without end), at most `at_once` at a time."""

    def __init__(self, total: int | None = None, at_once: int = 10**9, settings: Callable[[int], object] = id) -> None:
        self.total, self.at_once, self.next, self.settings = total, at_once, 0, settings

    async def take(self, credits: int, desk: Desk) -> Block:
        end = self.next + min(credits, self.at_once)
        numbers = range(self.next, end if self.total is None else min(end, self.total))
        self.next = numbers.stop
        return Block([Record(str(n)) for n in numbers], [Ack(n, desk, self.settings(n)) for n in numbers])


class Bench:
    """An engine over the stages with its letters, ended tickets and stored records; `accept` may replace the sink."""

    def __init__(
        self,
        *stages: Stage,
        tickets: int | None = None,
        at_once: int = 10**9,
        in_flight: int = 64,
        missing: int | None = None,
        bounds: Bounds = Bounds(failure_share=1.0),  # noqa: B008  frozen
        accept: Callable[[Block], Awaitable[None]] | None = None,
    ) -> None:
        self.letters: list[Letter] = []
        self.ended: list[Ack] = []
        self.stored: list[Record] = []
        self.source = Tickets(tickets, at_once, lambda ticket: None)
        self.demand = Demand(in_flight, missing)
        self.engine = Engine(
            build_graph(stages),
            self.source,
            accept or self.accept,
            self,
            self.demand,
            bounds=bounds,
            on_settled=self.ended.extend,
            on_letter=self.letters.append,
        )

    def for_record(self, stage: str, record: Record, ack: Ack) -> object:
        return ack.settings

    def for_batch(self, stage: str, settings: object) -> object:
        return settings

    async def accept(self, block: Block) -> None:
        counted = len(block.records) if self.demand.missing is None else min(len(block.records), self.demand.missing)
        for index, ack in enumerate(block.acks):
            ack.accepted += index < counted
            ack.surplus += index >= counted
        self.stored += block.records
        self.demand.accept(counted)

    @property
    def stored_ids(self) -> list[str]:
        return [record.id for record in self.stored]

    def stage(self, name: str) -> StageStatistics:
        return next(stage for stage in self.engine.statistics().stages if stage.name == name)

    def ended_as(self, outcome: Outcome) -> list[int]:
        return sorted(ack.ticket for ack in self.ended if ack.outcome is outcome)


def keep(record: Record, context: object) -> Record:
    return record


def keep_all(records: Sequence[Record], context: object) -> Sequence[Record]:
    return records
