"""How far a run is, kept in the transaction of the rows that it tells of, so that nobody has to read them all again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from operator import itemgetter
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

Cell: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Cell, ...]
Retain: TypeAlias = Literal["all", "accepted"]
Rows: TypeAlias = Mapping[str, Sequence[Row]]

_TICKET_CELL = {"calls": 0, "outcomes": 0, "surplus": 0, "records": 1}
_ACCOUNT_CELLS = {"calls": (4, 1), "wasted": (2, 1)}  # model and stage

_decode_drops = msgspec.json.Decoder(list[tuple[str, str, int]]).decode


class Spent(msgspec.Struct, array_like=True):
    """What a stage paid a model for.

    Of the `requests` that were paid for, `answers` were of use. `usd` leaves out the `unpriced` requests, whose price
    nobody knows. `cached` answers came without a request.
    """

    answers: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    cached: int = 0

    def add(self, answers: int, paid: Sequence[Sequence[Any]]) -> None:
        """Add calls, of which so many at most brought an answer of use.

        `paid` holds, for all of them, prompt tokens, completion tokens, requests and costs.
        """
        prompt_tokens, completion_tokens, requests, usd = paid
        cached = min(answers, requests.count(0))
        self.answers += answers - cached
        self.cached += cached
        self.requests += sum(requests)
        self.prompt_tokens += sum(prompt_tokens)
        self.completion_tokens += sum(completion_tokens)
        if None in usd:
            self.unpriced += sum([number for number, cost in zip(requests, usd, strict=True) if cost is None])
        self.usd += sum(filter(None, usd))


class Traces(msgspec.Struct, array_like=True):
    """What the journal has of a ticket that is not settled: pages with its calls, ids of its stored records."""

    calls: list[int] = []
    accepted: list[str] = []
    surplus: list[str] = []


class Ended(NamedTuple):
    """The tickets that a commit settles, and the pages of calls that no open ticket needs from now on."""

    tickets: frozenset[int]
    pages: Sequence[int]


class Progress(msgspec.Struct):
    """Totals of all that is in the journal, and which tickets are not settled.

    `following` is the first ticket without a trace; of those below it, the ones in `open` have no outcome. `tickets`
    counts outcomes, `drops` records by stage and reason, `spent` is by model and stage. `holders` counts the open
    tickets of each page of calls.
    """

    following: int = 0
    call_page: int = 0  # the last one
    last_seq: int = 0  # of the accepted records
    open: dict[int, Traces | None] = {}
    holders: dict[int, int] = {}
    tickets: dict[str, int] = {}
    drops: dict[str, dict[str, int]] = {}
    spent: dict[str, dict[str, Spent]] = {}

    def take(self, rows: Rows) -> Ended:
        """Count rows that are being committed."""
        settled = frozenset(_tickets(rows, "outcomes"))
        self._open(rows, settled)
        self._count(rows)
        for table, answers in (("calls", 1), ("wasted", 0)):
            if paid := rows.get(table):
                self._pay(table, paid, answers)
        freed = [page for ticket in settled & self.open.keys() for page in self._settle(ticket)]
        if self.open:
            self._trace(rows)
        self.call_page += bool(rows.get("calls"))
        return Ended(settled, freed)

    def use_surplus(self, used: Sequence[tuple[int, str]], turned: int) -> None:
        """Surplus records, as ticket and id, became accepted ones, and with them `turned` tickets."""
        _add(self.tickets, "surplus", -turned)
        _add(self.tickets, "accepted", turned)
        for ticket, id_ in used:
            if traces := self.open.get(ticket):
                traces.surplus.remove(id_)
                traces.accepted.append(id_)

    def _open(self, rows: Rows, settled: Set[int]) -> None:
        """All tickets up to the highest one that left a trace were issued."""
        highest = max((max(_tickets(rows, table)) for table in _TICKET_CELL if rows.get(table)), default=-1)
        fresh = range(self.following, highest + 1)
        self.open.update(dict.fromkeys(sorted(set(fresh) - settled)))
        self.following = max(self.following, highest + 1)

    def _settle(self, ticket: int) -> Iterator[int]:
        """Close a ticket; the pages that it was the last one to need."""
        if (traces := self.open.pop(ticket, None)) is None:
            return
        for page in traces.calls:
            self.holders[page] -= 1
            if not self.holders[page]:
                del self.holders[page]
                yield page

    def _trace(self, rows: Rows) -> None:
        """Note what there is of tickets that stay open."""
        for ticket in self.open.keys() & set(_tickets(rows, "calls")):
            self._traces(ticket).calls.append(self.call_page + 1)
            _add(self.holders, self.call_page + 1, 1)
        for row in [row for row in rows.get("records", ()) if row[1] in self.open]:
            self._traces(row[1]).accepted.append(str(row[2]))
        for row in [row for row in rows.get("surplus", ()) if row[0] in self.open]:
            self._traces(row[0]).surplus.append(str(row[1]))

    def _traces(self, ticket: Any) -> Traces:
        if (traces := self.open[ticket]) is None:
            traces = self.open[ticket] = Traces()
        return traces

    def _count(self, rows: Rows) -> None:
        outcomes = rows.get("outcomes", ())
        for outcome, number in Counter(map(itemgetter(1), outcomes)).items():
            _add(self.tickets, outcome, number)
        for drops in [row[2] for row in outcomes if isinstance(row[2], bytes)]:
            for stage, reason, records in _decode_drops(drops):
                _add(self.drops.setdefault(stage, {}), reason, records)

    def _pay(self, table: str, rows: Sequence[Row], answers: int) -> None:
        """Add calls to the sums of their model and stage."""
        model, stage = _ACCOUNT_CELLS[table]
        accounts = {(row[model], row[stage]) for row in rows}
        for account in accounts:
            own = rows if len(accounts) == 1 else [row for row in rows if (row[model], row[stage]) == account]
            spent = self.spent.setdefault(str(account[0]), {}).setdefault(str(account[1]), Spent())
            spent.add(answers * len(own), list(zip(*own, strict=True))[-4:])


def _tickets(rows: Rows, table: str) -> Iterator[Any]:
    return map(itemgetter(_TICKET_CELL[table]), rows.get(table, ()))


def _add(counts: dict[Any, int], key: Any, number: int) -> None:
    counts[key] = counts.get(key, 0) + number
