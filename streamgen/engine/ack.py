"""The ack: counts a ticket's live descendants, so that each ticket is settled exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec


class Outcome(StrEnum):
    """How a ticket ended; `ABANDONED` leaves no trace, so that the next session runs it again."""

    ACCEPTED = "accepted"
    DROPPED = "dropped"
    FAILED = "failed"
    SURPLUS = "surplus"
    ABANDONED = "abandoned"


class Desk(Protocol):
    """Where settled tickets are reported."""

    def settled(self, acks: Sequence[Ack]) -> None:
        """Called once for each ticket, when its last descendant was stored, dropped or has failed."""
        ...


class Ack(msgspec.Struct, eq=False, gc=False):
    """One ticket in flight. `live` shares are out: descendants in a mailbox or in a handler's hands.

    `settings` is what the ticket's trial set; it never changes while the ticket lives.
    (`gc=False`: an ack is never part of a reference cycle.)
    """

    ticket: int
    desk: Desk
    settings: Any = None
    live: int = 1
    accepted: int = 0  # records that count
    surplus: int = 0  # records beyond the quota
    drops: dict[tuple[str, str], int] | None = None  # (stage, reason) -> records
    error: str | None = None  # of the first failure
    abandoned: bool = False

    def settle(self, children: int = 0) -> None:
        """Replace one share by `children` shares: 0 ends it, 1 passes it on, n fans out."""
        self.live += children - 1
        if not self.live:
            self.desk.settled((self,))

    def drop(self, stage: str, reason: str) -> None:
        """Note why a descendant goes no further; its share is settled apart."""
        self.drops = self.drops or {}
        self.drops[stage, reason] = self.drops.get((stage, reason), 0) + 1

    @property
    def outcome(self) -> Outcome:
        """The ticket's end: accepted when any record was, failed only when nothing else came of it."""
        if self.abandoned:
            return Outcome.ABANDONED
        if self.accepted:
            return Outcome.ACCEPTED
        if self.surplus:
            return Outcome.SURPLUS
        return Outcome.FAILED if self.error else Outcome.DROPPED


def settle_all(acks: Sequence[Ack]) -> None:
    """End one share of each; the desk hears of all finished tickets at once."""
    finished = [ack for ack in acks if ack.live == 1]
    if len(finished) < len(acks):
        finished = []
        for ack in acks:
            ack.live -= 1
            if not ack.live:
                finished.append(ack)
    if finished:
        finished[0].desk.settled(finished)
