"""A run's metrics: shown every accepted record, and written down now and then, so that a resume need not read all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from streamgen.journal.store import Store
from streamgen.metrics import Accumulator, Costly, Snapshotting
from streamgen.record import Record, Value, decode

_NOTED_RECORDS = 10_000  # a resume measures that many again at most, in some 0.2 s
_LAG = 1.5  # a costly result is calculated anew when there are so many times the records that it is of

Keep: TypeAlias = Callable[[str, int, bytes, bytes], None]
"""Takes a snapshot: the metric's name, how many records it covers, the metric's settings, its state."""


class Measures:
    """The metrics by name. They have seen the first `seq` records of the run, all of them."""

    def __init__(
        self,
        metrics: Mapping[str, Accumulator],
        settings: Mapping[str, msgspec.Struct | None] | None = None,
        keep: Keep = lambda *_: None,
    ) -> None:
        self.seq = 0
        self._noted = 0
        self._told: dict[str, tuple[int, Mapping[str, Value]]] = {}  # of how many records, and the result
        self._metrics, self._keep = metrics, keep
        self._settings = {name: msgspec.json.encode(found) for name, found in (settings or {}).items()}

    def __repr__(self) -> str:
        return f"<Measures {', '.join(self._metrics)} of {self.seq} records>"

    def update(self, records: Sequence[Record]) -> None:
        """Measure the records that were accepted next."""
        for metric in self._metrics.values():
            metric.update(records)
        self.seq += len(records)
        if self.seq - self._noted >= _NOTED_RECORDS:
            self.note()

    def note(self) -> None:
        """Write down what is measured so far, where it has changed."""
        if self.seq == self._noted:
            return
        for name, metric in self._metrics.items():
            if isinstance(metric, Snapshotting):
                self._keep(name, self.seq, self._settings.get(name, b""), metric.snapshot())
        self._noted = self.seq

    def end(self) -> None:
        """Write down what is measured; from now on every result is of all records."""
        self.note()
        self._told = {name: told for name, told in self._told.items() if told[0] == self.seq}

    def results(self) -> dict[str, Mapping[str, Value]]:
        """Every metric's measures so far; while a run goes on, costly ones may be of two thirds of its records."""
        return {name: self._result(name, metric) for name, metric in self._metrics.items()}

    def _result(self, name: str, metric: Accumulator) -> Mapping[str, Value]:
        seen, result = self._told.get(name, (-1, {}))
        is_enough = seen == self.seq or (isinstance(metric, Costly) and 0 < self.seq <= _LAG * seen)
        if not is_enough:
            result = metric.result()
            self._told[name] = self.seq, result
        return result

    def recall(self, store: Store) -> None:
        """Go on where an earlier session stopped: from the last snapshots, and from the records behind them."""
        self.seq = store.last_seq
        if not self._metrics:
            return
        seen = {name: self._recalled(name, metric, store) for name, metric in self._metrics.items()}
        self._noted = first = min(seen.values())
        for page in store.pages(first):
            records = [decode(stored.body) for stored in page]
            for name, metric in self._metrics.items():
                if fresh := records[max(0, seen[name] + 1 - page[0].seq) :]:
                    metric.update(fresh)

    def _recalled(self, name: str, metric: Accumulator, store: Store) -> int:
        """How many records the metric's snapshot covers; 0 where there is none, or one of other settings."""
        if not isinstance(metric, Snapshotting):
            return 0
        query = "SELECT seq, body FROM snapshots WHERE name = ? AND settings = ?"
        for seq, body in store.read(query, name, self._settings.get(name, b"")):
            if isinstance(body, bytes) and isinstance(seq, int):
                metric.restore(body)
                return seq
        return 0
