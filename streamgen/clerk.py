"""Writes what happens in a run into its journal: outcomes, dead letters, sessions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio
import msgspec

from streamgen.engine.ack import Ack, Outcome
from streamgen.engine.actor import Letter
from streamgen.engine.graph import SINK, SOURCE
from streamgen.gate import Gate
from streamgen.journal.journal import Journal
from streamgen.masking import mask
from streamgen.record import Columns, Record
from streamgen.source import BadRow, Place
from streamgen.summary import End, RunStatistics
from streamgen.timeline import TIMELINE, Moment, Timeline

if TYPE_CHECKING:
    from streamgen.control.controller import Controller

_encode = msgspec.json.Encoder().encode


class Clerk:
    """Keeps the books of one session. `failed` counts its dead letters, `surplus` its records beyond the quota.

    `bad_rows` counts what the source gave that is no row, earlier sessions included; `moments` are theirs.
    """

    def __init__(
        self,
        journal: Journal,
        controller: Controller | None,
        session: int,
        bad_rows: int = 0,
        moments: Sequence[Moment] = (),
    ) -> None:
        self.failed = self.surplus = 0
        self._timeline = Timeline(moments)
        self.bad_rows = bad_rows
        self._journal, self._controller, self._session = journal, controller, session
        self._began, self._started = time.time(), anyio.current_time()

    def settled(self, acks: Sequence[Ack], gate: Gate) -> None:
        """Tickets ended. Of those that were abandoned nothing is written: the next session runs them again."""
        for ack in acks:
            records = gate.records_of(ack.ticket)
            self.surplus += ack.surplus
            if ack.outcome is Outcome.ABANDONED:
                continue
            drops = _encode([(*key, count) for key, count in ack.drops.items()]) if ack.drops else None
            self._journal.append("outcomes", ack.ticket, ack.outcome.value, drops, ack.error and _shown(ack.error))
            if self._controller:
                self._controller.settled(ack.ticket, records, ack.drops)

    def letter(self, letter: Letter) -> None:
        """A stage failed on a record."""
        self.failed += 1
        self._journal.append(
            "letters", letter.ticket, letter.stage, letter.record.id,
            _columns(letter.record.columns), _shown(letter.error), _shown(letter.traceback),
        )  # fmt: skip

    def unfit(self, record: Record, ack: Ack, error: Exception) -> None:
        """A finished record cannot be written as JSON: it fails, like one that a stage fails on."""
        message = f"{type(error).__name__}: the record cannot be written as JSON: {error}"
        ack.error = ack.error or f"{SINK}: {message}"
        self.letter(Letter(ack.ticket, SINK, record, message, ""))

    async def bad_row(self, ticket: int, row: BadRow) -> None:
        """The source gave something that is no row."""
        await self._journal.room()
        self.bad_rows += 1
        error = f"{row.where}: {row.error}"
        self.letter(Letter(ticket, SOURCE, Record(str(ticket), {"line": row.text}), error, ""))
        self._journal.append("outcomes", ticket, Outcome.FAILED.value, None, f"{SOURCE}: {_shown(error)}")
        if self._controller:
            self._controller.settled(ticket, ())

    def place(self, place: Place) -> None:
        """The source is about to give this row."""
        self._journal.append("places", place.row, _encode(place.at))

    def session(self, end: End, statistics: RunStatistics) -> None:
        """How the session stands; a later note replaces it."""
        seconds = anyio.current_time() - self._started
        self._journal.append("sessions", self._session, self._began, seconds, end.reason, _encode(statistics))
        self._journal.append("facts", "end", _encode(end))
        self._timeline.note(seconds, statistics)
        self._journal.append("facts", TIMELINE, _encode(self._timeline.moments))
        if self._controller:
            self._journal.append("facts", "recommended", _encode(self._controller.recommended))


def _shown(text: str) -> str:
    """The text as the journal takes it: without keys, and without what UTF-8 cannot say."""
    return mask(text).encode("utf-8", "backslashreplace").decode()


def _columns(columns: Columns) -> bytes:
    """The columns as JSON, whatever a handler put into them."""
    try:
        return _encode(columns)
    except (TypeError, ValueError, RecursionError):
        return _encode({name: ascii(value) for name, value in columns.items()})
