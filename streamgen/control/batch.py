"""What a trial's tickets bring, while it waits for its reward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from streamgen.control.agent import Yield
from streamgen.record import NO_USAGE, Record, Usage

DUPLICATES = frozenset({"duplicate", "near_duplicate", "not_novel"})
"""Reasons for drops that tell that the pool has the like already."""

Drops = Mapping[tuple[str, str], int]
"""Records that were dropped, by stage and reason."""


class Batch:
    """The records of a trial, and how many of its tickets have not settled. `before` is what came of earlier ranges."""

    def __init__(self, tickets: int, now: float, before: Yield | None = None) -> None:
        self.missing = tickets
        self._records: list[Record] = []
        self._began = now
        self._before = before or Yield()
        self._dropped = self._duplicates = 0
        self._usage = NO_USAGE

    @property
    def records(self) -> list[Record]:
        """In the order of their tickets, so that a reward does not depend on which of them was fastest."""
        return sorted(self._records, key=lambda record: (record.meta.ticket, record.id))

    def enlarge(self, tickets: int, now: float, before: Yield) -> None:
        """More tickets of the same trial."""
        self.missing, self._began, self._before = tickets, now, before
        self._dropped = self._duplicates = 0
        self._usage = NO_USAGE

    def settled(self, records: Sequence[Record], drops: Drops | None) -> None:
        """A ticket has ended."""
        self.missing -= 1
        self._records.extend(records)
        if drops:
            self._dropped += sum(drops.values())
            self._duplicates += sum(count for (_, reason), count in drops.items() if reason in DUPLICATES)

    def keep(self, records: Iterable[Record]) -> None:
        """Records of tickets that are counted in `before`."""
        self._records.extend(records)

    def paid(self, usage: Usage) -> None:
        """A call for one of the tickets was paid."""
        self._usage += usage

    def came(self, now: float, label: str | None) -> Yield:
        """What the tickets came to, the earlier ranges included."""
        before, paid = self._before, self._usage.cost_usd
        usd = paid if before.usd is None else before.usd + (paid or 0.0)
        return Yield(
            records=len(self._records),
            dropped=before.dropped + self._dropped,
            duplicates=before.duplicates + self._duplicates,
            classes=Counter(record.text(label) for record in self._records) if label else {},
            tokens=before.tokens + self._usage.tokens,
            usd=usd,
            seconds=before.seconds + now - self._began,
        )
