"""The source's side of the engine: numbers tickets, gives each its row and its settings, skips what is settled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import chain, count

from streamgen.engine.ack import Ack, Desk
from streamgen.engine.mailbox import Block
from streamgen.record import Columns, Meta, Record
from streamgen.source import BadRow, Place, Rows
from streamgen.tuning import Tuning

_NOTED_ROWS = 1024  # passing over that many lines takes less than a millisecond


class Tickets:
    """Issues tickets 0, 1, 2 ...; on a resume first those that are not settled, then new ones.

    Ticket n gets the source's n-th row, whatever happened before. A row that cannot be read is reported to `on_bad`
    and costs no credit. `on_place` hears now and then where the source is. `path` is the records' way, where all go
    the same.
    """

    def __init__(
        self,
        rows: Rows | None,
        tuning: Tuning,
        seed: int,
        *,
        path: tuple[str, ...] = (),
        unsettled: Sequence[int] = (),
        following: int = 0,
        on_bad: Callable[[int, BadRow], Awaitable[None]],
        on_place: Callable[[Place], None] = lambda place: None,
    ) -> None:
        self.next_ticket = following
        self._tuning, self._seed, self._path, self._on_bad = tuning, seed, path, on_bad
        numbers = chain(unsettled, count(following))
        self._held: tuple[int, Columns | BadRow] | None = None  # waits until its trial is known
        self._issue = _paired(numbers, rows, on_place) if rows is not None else ((number, {}) for number in numbers)

    async def take(self, credits: int, desk: Desk) -> Block:
        """Up to `credits` tickets; none at the source's end."""
        records: list[Record] = []
        acks: list[Ack] = []
        while (issued := self._held or next(self._issue, None)) is not None:
            ticket, row = self._held = issued
            if not self._tuning.is_ready(ticket) and (records or not await self._tuning.ready(ticket)):
                break
            self._held = None
            self.next_ticket = max(self.next_ticket, ticket + 1)
            tuned = self._tuning.for_ticket(ticket)  # also of a bad row, which belongs to a trial too
            if isinstance(row, BadRow):
                await self._on_bad(ticket, row)
                continue
            meta = Meta(ticket, (), self._path, self._seed, tuned.trial, tuned.overrides)
            records.append(Record(str(ticket), row, meta))
            acks.append(Ack(ticket, desk, tuned))
            if len(records) == credits:
                break
        return Block(records, acks)


def _paired(
    numbers: Iterable[int], rows: Rows, on_place: Callable[[Place], None]
) -> Iterator[tuple[int, Columns | BadRow]]:
    """Each number with the row of that place; the numbers rise. Every now and then tells where the source is."""
    noted = rows.taken // _NOTED_ROWS
    for number in numbers:
        if number > rows.taken:
            rows.skip_to(number)
        if number // _NOTED_ROWS > noted and (place := rows.place()):
            noted = number // _NOTED_ROWS
            on_place(place)
        if (row := next(rows, None)) is None:
            return
        yield number, row
