"""How the scores that judges and filters wrote into the provenance spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.metrics.names import Names
from streamgen.metrics.spread import Spread, State, number_of
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(tuple[int, dict[str, State]]).decode


class ScoresSettings(Settings, frozen=True):
    """`scores` names those that are measured; all of them (`most_names` at most) where none is named."""

    scores: tuple[str, ...] = ()
    most_names: Annotated[int, Meta(ge=1, le=1000)] = 50


class Scores:
    """count, mean, sd, quantiles and `histogram` of each score; `unscored` records are counted apart, never as zero."""

    def __init__(self, settings: ScoresSettings) -> None:
        self._records = 0
        self._names = Names(settings.scores, settings.most_names)
        self._spreads: dict[str, Spread] = {}

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; a score that is no finite number is none."""
        self._records += len(records)
        found: dict[str, list[float]] = {}
        for record in records:
            for name, score in record.meta.scores.items():
                if (number := number_of(score)) is not None:
                    found.setdefault(name, []).append(number)
        for name in self._names.known(found):
            self._of(name).update(found.get(name, ()))
        self._forget()

    def merge(self, other: Scores) -> None:
        """Take in another measurement."""
        self._records += other._records
        for name in self._names.known(other._spreads):
            if name in other._spreads:
                self._of(name).merge(other._spreads[name])
        self._forget()

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode((self._records, {name: spread.state() for name, spread in self._spreads.items()}))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._records, states = _decode(snapshot)
        for name in self._names.known(states):
            if name in states:
                self._of(name).load(states[name])

    def result(self) -> dict[str, Value]:
        """Each score's spread so far, by its name."""
        return {name: self._told(self._of(name)) for name in self._names.known(self._spreads)}

    def _told(self, spread: Spread) -> dict[str, Value]:
        return {**spread.result(), "unscored": self._records - spread.count}

    def _of(self, name: str) -> Spread:
        return self._spreads.setdefault(name, Spread())

    def _forget(self) -> None:
        known = self._names.known(self._spreads)
        self._spreads = {name: spread for name, spread in self._spreads.items() if name in known}
