"""The gate at the end of the graph: exactly as many records as wanted are accepted, the rest is surplus."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set

from streamgen.engine.ack import Ack
from streamgen.engine.demand import Demand
from streamgen.engine.graph import SOURCE, Graph
from streamgen.engine.mailbox import Block
from streamgen.journal.journal import Journal
from streamgen.measures import Measures
from streamgen.pace import Pace
from streamgen.record import Record, encode

_BRANCH = re.compile(r"/([^/]+?)(?=/|$|\.\d)")


class Gate:
    """Takes finished records into the journal.

    `accepted` and `surplus` are the ids of records that an earlier session stored of tickets that it did not settle:
    they come again, and are not stored again. `on_unfit` hears of records that cannot be written as JSON.
    """

    def __init__(
        self,
        graph: Graph,
        journal: Journal,
        demand: Demand,
        pace: Pace,
        *,
        accepted: Set[str] = frozenset(),
        surplus: Set[str] = frozenset(),
        metrics: Measures,
        collect: bool = False,
        on_unfit: Callable[[Record, Ack, Exception], None],
    ) -> None:
        self._graph, self._journal, self._demand, self._pace = graph, journal, demand, pace
        self._accepted, self._surplus = accepted, surplus
        self._metrics, self._on_unfit = metrics, on_unfit
        self._records_of: dict[int, list[Record]] | None = {} if collect else None

    async def accept(self, block: Block) -> None:
        """The engine's sink: returning means that the records are kept."""
        await self._journal.room()
        pace, fresh = self._pace, []
        for record, ack in zip(block.records, block.acks, strict=True):
            if pace.is_full:
                await pace.room()
            if not record.meta.path:  # where the graph branches, it is known only now
                record = record.with_meta(path=_path(self._graph, record.id))
            try:
                body = encode(record)
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                self._on_unfit(record, ack, error)
                continue
            if self._is_new(record, body, ack):
                fresh.append(record)
            if self._records_of is not None:
                self._records_of.setdefault(ack.ticket, []).append(record)
        if fresh:
            self._metrics.update(fresh)

    def records_of(self, ticket: int) -> Sequence[Record]:
        """The records of a ticket that has just settled; they are forgotten here."""
        return self._records_of.pop(ticket, ()) if self._records_of is not None else ()

    def _is_new(self, record: Record, body: bytes, ack: Ack) -> bool:
        """Store the record where it is new; whether it was accepted now."""
        if record.id in self._accepted:
            ack.accepted += 1
        elif record.id in self._surplus:
            ack.surplus += 1
        elif self._demand.missing == 0:
            ack.surplus += 1
            self._journal.append("surplus", ack.ticket, record.id, body)
        else:
            ack.accepted += 1
            self._demand.accept(1)
            self._journal.accept(ack.ticket, record.id, body)
            return True
        return False


def _path(graph: Graph, record_id: str) -> tuple[str, ...]:
    """The stages that a record went through; where the graph branches, its id tells which way it took."""
    branches = iter(_BRANCH.findall(record_id))
    names: list[str] = []
    node = SOURCE
    stages = {stage.name for stage in graph.stages}
    while True:
        readers = graph.readers(node)
        node = readers[0] if len(readers) == 1 else next(branches, "")
        if node not in stages:
            return tuple(names)
        names.append(node)
