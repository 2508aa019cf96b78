"""How many records, from how many tickets, with which values in which columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.metrics.values import ValueCounts
from streamgen.record import Record, Value
from streamgen.settings import Settings

_BITS = 1024

_decode = msgspec.msgpack.Decoder(tuple[int, dict[int, bytes], dict[str, tuple[int, dict[str, int]]]]).decode


class CountsSettings(Settings, frozen=True):
    """`by` names columns of few values (labels, topics); at most `most_values` of each are told apart."""

    by: tuple[str, ...] = ()
    most_values: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000

    def reads(self) -> frozenset[str]:
        """The columns."""
        return frozenset(self.by)


class Counts:
    """`records`, `tickets` that gave any, and `by`: column -> value -> records.

    Values beyond `most_values` are counted together under `by_other`. A record without the column has the value "".
    """

    def __init__(self, settings: CountsSettings) -> None:
        self._records = 0
        self._tickets: defaultdict[int, int] = defaultdict(int)  # a bitmap in blocks: a bit a ticket
        self._by = {column: ValueCounts(settings.most_values) for column in settings.by}

    def update(self, records: Sequence[Record]) -> None:
        """Count these records."""
        self._records += len(records)
        for record in records:
            if record.meta.ticket >= 0:
                self._tickets[record.meta.ticket // _BITS] |= 1 << record.meta.ticket % _BITS
        for column, values in self._by.items():
            values.update(record.text(column) for record in records)

    def merge(self, other: Counts) -> None:
        """Take in another count."""
        self._records += other._records
        for block, bits in other._tickets.items():
            self._tickets[block] |= bits
        for column, values in other._by.items():
            self._by[column].merge(values)

    def snapshot(self) -> bytes:
        """All that it knows."""
        tickets = {block: bits.to_bytes(_BITS // 8, "little") for block, bits in self._tickets.items()}
        by = {column: values.state() for column, values in self._by.items()}
        return msgspec.msgpack.encode((self._records, tickets, by))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._records, tickets, by = _decode(snapshot)
        self._tickets.update((block, int.from_bytes(bits, "little")) for block, bits in tickets.items())
        for column, state in by.items():
            self._by[column].load(state)

    def result(self) -> dict[str, Value]:
        """The counts so far."""
        tickets = sum(bits.bit_count() for bits in self._tickets.values())
        by = {column: values.counts() for column, values in self._by.items()}
        other = {column: values.total - sum(by[column].values()) for column, values in self._by.items()}
        return {"records": self._records, "tickets": tickets, "by": by, "by_other": other}
