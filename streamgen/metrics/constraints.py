"""How many records pass what was asked of them, by the verdicts in their provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from streamgen.metrics.names import Names
from streamgen.metrics.values import ValueCounts
from streamgen.record import Record, Value
from streamgen.settings import Settings

_SHOWN = 80  # characters of a verdict

_Words: TypeAlias = tuple[int, dict[str, int]]
_decode = msgspec.msgpack.Decoder(tuple[int, dict[str, tuple[int, int, _Words]]]).decode


class ConstraintsSettings(Settings, frozen=True):
    """`verdicts` names those that are counted; all of them (`most_names` at most) where none is named.

    `passing` and `failing` are the words, in lower case, that mean that a record does or does not pass. Of each verdict
    at most `most_values` words are told apart.
    """

    verdicts: tuple[str, ...] = ()
    passing: Annotated[tuple[str, ...], Meta(min_length=1)] = ("pass", "passed", "ok", "yes", "true")
    failing: tuple[str, ...] = ("fail", "failed", "no", "false", "violated")
    most_names: Annotated[int, Meta(ge=1, le=10_000)] = 100
    most_values: Annotated[int, Meta(ge=1, le=100_000)] = 50


class Constraints:
    """`pass_rate`, `passed` and `counts` of words, by verdict; records without the verdict are `missing`, in no rate.

    A word that means neither counts as not passed, but where no word means anything there is no rate: the verdict tells
    something else. Of one that is as good as free text (a judge's reason) no words are told, only how many `other`.
    """

    def __init__(self, settings: ConstraintsSettings) -> None:
        self._settings = settings
        self._records = 0
        self._names = Names(settings.verdicts, settings.most_names)
        self._verdicts: dict[str, Verdict] = {}

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
        for name in self._names.known(other._verdicts):
            if name in other._verdicts:
                self._of(name).merge(other._verdicts[name])
        self._forget()

    def snapshot(self) -> bytes:
        """All that it knows."""
        verdicts = {name: verdict.state() for name, verdict in self._verdicts.items()}
        return msgspec.msgpack.encode((self._records, verdicts))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._records, states = _decode(snapshot)
        for name in self._names.known(states):
            if name in states:
                self._of(name).load(states[name])

    def result(self) -> dict[str, Value]:
        """The rates so far, by verdict."""
        return {name: self._of(name).result(self._records) for name in self._names.known(self._verdicts)}

    def _of(self, name: str) -> Verdict:
        return self._verdicts.setdefault(name, Verdict(self._settings))

    def _forget(self) -> None:
        known = self._names.known(self._verdicts)
        self._verdicts = {name: verdict for name, verdict in self._verdicts.items() if name in known}


class Verdict:
    """How many records pass and fail by one verdict, and its words."""

    def __init__(self, settings: ConstraintsSettings) -> None:
        self._settings = settings
        self._passed = self._failed = 0
        self._words = ValueCounts(settings.most_values)

    def update(self, words: Sequence[str]) -> None:
        """Count these."""
        folded = [word.casefold() for word in words]
        self._passed += sum(word in self._settings.passing for word in folded)
        self._failed += sum(word in self._settings.failing for word in folded)
        self._words.update(word[:_SHOWN] for word in words)

    def merge(self, other: Verdict) -> None:
        """Count all that another one has counted."""
        self._passed += other._passed
        self._failed += other._failed
        self._words.merge(other._words)

    def state(self) -> tuple[int, int, _Words]:
        """All that it knows, for `load`."""
        return self._passed, self._failed, self._words.state()

    def load(self, state: tuple[int, int, _Words]) -> None:
        """Know what another one knew."""
        self._passed, self._failed, words = state
        self._words.load(words)

    def result(self, records: int) -> dict[str, Value]:
        """The rate so far, of so many records altogether."""
        counts, total = self._words.counts(), self._words.total
        tells = self._passed + self._failed > 0
        if not tells and total > sum(counts.values()):
            counts = {}
        rate = self._passed / total if tells else None
        other = total - sum(counts.values())
        return {"pass_rate": rate, "passed": self._passed, "counts": counts, "other": other, "missing": records - total}
