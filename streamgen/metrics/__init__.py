"""Accumulators that measure a data set while it streams; one family a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, Self, runtime_checkable

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


@runtime_checkable
class Snapshotting(Protocol):
    """An accumulator whose state can be written down: a resumed run goes on from it, without reading all records."""

    def snapshot(self) -> bytes:
        """All that it knows."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Know what another one with the same settings knew; called before the first `update`."""
        ...


@runtime_checkable
class Costly(Protocol):
    """An accumulator whose `result` takes more than some milliseconds: a run that goes on asks for it seldom."""

    is_costly: bool
