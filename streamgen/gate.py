"""The gate at the end of the graph: exactly as many records as wanted are accepted, the rest is surplus."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from streamgen.engine.ack import Ack
from streamgen.engine.demand import Demand
from streamgen.engine.graph import SOURCE, Graph
from streamgen.engine.mailbox import Block
from streamgen.journal.journal import Journal
from streamgen.metrics import Accumulator
from streamgen.record import Record, encode

_BRANCH = re.compile(r"/([^/]+?)(?=/|$|\.\d)")


class Gate:
    """Takes finished records into the journal.

    `known` are records that an earlier session accepted of tickets that it did not settle: they count once.
    """

    def __init__(
        self,
        graph: Graph,
        journal: Journal,
        demand: Demand,
        *,
        known: set[str],
        metrics: Mapping[str, Accumulator],
        collect: bool = False,
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._graph, self._journal, self._demand = graph, journal, demand
        self._known, self._metrics, self._room = known, metrics, room
        self._linear = _path(graph, "") if all(len(graph.readers(s.name)) == 1 for s in graph.stages) else None
        self._records_of: dict[int, list[Record]] | None = {} if collect else None

    async def accept(self, block: Block) -> None:
        """The engine's sink: returning means that the records are kept."""
        await self._journal.room()
        await self._room()
        accepted = []
        for record, ack in zip(block.records, block.acks, strict=True):
            stamped = record.with_meta(path=self._linear or _path(self._graph, record.id))
            if self._take(stamped, ack):
                accepted.append(stamped)
            if self._records_of is not None:
                self._records_of.setdefault(ack.ticket, []).append(stamped)
        if accepted:
            for metric in self._metrics.values():
                metric.update(accepted)

    def records_of(self, ticket: int) -> Sequence[Record]:
        """The records of a ticket that has just settled; they are forgotten here."""
        return self._records_of.pop(ticket, ()) if self._records_of is not None else ()

    def _take(self, record: Record, ack: Ack) -> bool:
        """Whether the record is new and counts."""
        if record.id in self._known:
            ack.accepted += 1
            return False
        if self._demand.missing == 0:
            ack.surplus += 1
            self._journal.append("surplus", ack.ticket, record.id, encode(record))
            return False
        ack.accepted += 1
        self._demand.accept(1)
        self._journal.accept(ack.ticket, record.id, encode(record))
        return True


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
