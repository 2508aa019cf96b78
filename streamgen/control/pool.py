"""The pool: a bounded, fair sample of everything that was accepted so far."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from heapq import heappush, heappushpop

from streamgen.record import Record


class Pool:
    """At most `limit` accepted records, each of all so far equally likely to be among them.

    Which ones depends on (seed, record id) alone, not on the order of arrival, so a resumed run holds the same pool:
    the records with the lowest hashes are kept (bottom-k sampling, Cohen and Kaplan 2007).
    """

    def __init__(self, limit: int, seed: int = 0) -> None:
        self.limit = limit
        self._seed = seed
        self._kept: list[tuple[int, str]] = []  # a heap of (-hash, id): the first to go stands in front
        self._records: dict[str, tuple[int, Record]] = {}  # id -> trial, record; the same ids as in the heap

    def add(self, trial: int, records: Iterable[Record]) -> None:
        """Take in records that were accepted under a trial; an id that is there already is passed over."""
        for record in records:
            if record.id not in self._records:
                self._add(trial, record)

    def others(self, trial: int) -> list[Record]:
        """What is kept from all trials but this one, in order of their hashes."""
        held = (self._records[id_] for _, id_ in sorted(self._kept, reverse=True))
        return [record for owner, record in held if owner != trial]

    @property
    def records(self) -> list[Record]:
        """All that is kept, in no order; each knows its trial."""
        return [record for _, record in self._records.values()]

    def __len__(self) -> int:
        return len(self._records)

    def _add(self, trial: int, record: Record) -> None:
        entry = (-self._hash(record.id), record.id)
        self._records[record.id] = (trial, record)
        if len(self._records) <= self.limit:
            heappush(self._kept, entry)
        else:
            _, dropped = heappushpop(self._kept, entry)
            del self._records[dropped]

    def _hash(self, id_: str) -> int:
        return int.from_bytes(blake2b(f"{self._seed}/{id_}".encode(), digest_size=8).digest())
