"""How many records pass what was asked of them, by the verdicts in their provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.metrics.names import Names
from streamgen.metrics.values import ValueCounts
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(tuple[int, dict[str, tuple[int, dict[str, int]]]]).decode


class ConstraintsSettings(Settings, frozen=True):
    """`verdicts` names those that are counted; all of them (`most_names` at most) where none is named.

    `passing` are the words that mean that a record passes. Of each verdict at most `most_values` words are told apart.
    """

    verdicts: tuple[str, ...] = ()
    passing: Annotated[tuple[str, ...], Meta(min_length=1)] = ("pass", "passed", "ok", "yes", "true")
    most_names: Annotated[int, Meta(ge=1, le=10_000)] = 100
    most_values: Annotated[int, Meta(ge=1, le=100_000)] = 100


class Constraints:
    """`pass_rate` and `counts` by verdict. Records without a verdict are `missing` there, and in no rate.

    `pass_rate` is None where no word that came means that a record passes or fails: a verdict may tell something else.
    """

    def __init__(self, settings: ConstraintsSettings) -> None:
        self._settings = settings
        self._records = 0
        self._names = Names(settings.verdicts, settings.most_names)
        self._values: dict[str, ValueCounts] = {}

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records."""
        self._records += len(records)
        found: dict[str, list[str]] = {}
        for record in records:
            for name, verdict in record.meta.verdicts.items():
                found.setdefault(name, []).append(verdict)
        for name in self._names.known(found):
            self._of(name).update(found.get(name, ()))
        self._forget()

    def merge(self, other: Constraints) -> None:
        """Take in another measurement."""
        self._records += other._records
        for name in self._names.known(other._values):
            if name in other._values:
                self._of(name).merge(other._values[name])
        self._forget()

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode((self._records, {name: found.state() for name, found in self._values.items()}))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._records, states = _decode(snapshot)
        for name in self._names.known(states):
            self._of(name).load(states.get(name, (0, {})))

    def result(self) -> dict[str, Value]:
        """The rates so far, by verdict."""
        return {name: self._told(self._of(name)) for name in self._names.known(self._values)}

    def _told(self, values: ValueCounts) -> dict[str, Value]:
        counts = values.counts()
        passed = [count for verdict, count in counts.items() if verdict.casefold() in self._settings.passing]
        rate = sum(passed) / values.total if passed or _is_failing(counts) else None
        return {"pass_rate": rate, "counts": counts, "missing": self._records - values.total}

    def _of(self, name: str) -> ValueCounts:
        return self._values.setdefault(name, ValueCounts(self._settings.most_values))

    def _forget(self) -> None:
        known = self._names.known(self._values)
        self._values = {name: values for name, values in self._values.items() if name in known}


_FAILING = frozenset({"fail", "failed", "no", "false", "violated"})


def _is_failing(counts: dict[str, int]) -> bool:
    return any(verdict.casefold() in _FAILING for verdict in counts)
