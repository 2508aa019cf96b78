"""Accumulators that measure a data set while it streams; one family a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

from streamgen.record import Record, Value


class Accumulator(Protocol):
    """A measure in bounded memory. Any split of the records into batches, in any order, gives the same result."""

    def update(self, records: Sequence[Record]) -> None:
        """Take in accepted records."""
        ...

    def merge(self, other: Self) -> None:
        """Take in all that another accumulator with the same settings has seen."""
        ...

    def result(self) -> Mapping[str, Value]:
        """The measures so far, by name; JSON values."""
        ...
