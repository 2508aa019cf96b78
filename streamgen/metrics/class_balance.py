"""How evenly the records spread over their classes."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.metrics.values import ValueCounts
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(tuple[int, tuple[int, dict[str, int]]]).decode


class ClassBalanceSettings(Settings, frozen=True):
    """The column of the label. `labels` are those that should come: one that does not counts as an empty class."""

    column: str = "label"
    labels: tuple[str, ...] = ()
    most_labels: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000

    def check(self) -> None:
        """Raise ValueError for more labels than are told apart."""
        if len(self.labels) > self.most_labels:
            raise ValueError(f"most_labels: {self.most_labels} are fewer than the {len(self.labels)} labels")

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class ClassBalance:
    """`counts` by label, `entropy` (1.0: all classes alike, 0.0: a single one), `min_share` and `max_share`.

    The entropy is Shannon's, divided by the logarithm of the number of classes. `missing` records have no label;
    `other` ones have a label beyond the `most_labels` that are told apart, and are in none of the shares.
    """

    def __init__(self, settings: ClassBalanceSettings) -> None:
        self._settings = settings
        self._values = ValueCounts(settings.most_labels)
        self._missing = 0

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records."""
        column = self._settings.column
        labels = [record.text(column) for record in records if record.get(column) is not None]
        self._missing += len(records) - len(labels)
        self._values.update(labels)

    def merge(self, other: ClassBalance) -> None:
        """Take in another measurement."""
        self._missing += other._missing
        self._values.merge(other._values)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode((self._missing, self._values.state()))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._missing, state = _decode(snapshot)
        self._values.load(state)

    def result(self) -> dict[str, Value]:
        """The balance so far; shares and entropy are None where no record has a label."""
        counts = {**dict.fromkeys(self._settings.labels, 0), **self._values.counts()}
        other = self._values.total - sum(counts.values())
        return {"counts": counts, "other": other, **balance(list(counts.values())), "missing": self._missing}


def balance(counts: Sequence[int]) -> dict[str, float | None]:
    """Normalised entropy, least and greatest share of some classes.

    >>> balance([5, 5]), balance([4, 0])["entropy"]
    ({'entropy': 1.0, 'min_share': 0.5, 'max_share': 0.5}, 0.0)
    """
    total = sum(counts)
    if not total:
        return {"entropy": None, "min_share": None, "max_share": None}
    shares = sorted(count / total for count in counts)
    entropy = -sum(share * log(share) for share in shares if share)
    even = log(len(shares)) or 1.0  # of one class: its entropy is 0 anyway
    return {"entropy": min(1.0, abs(entropy) / even), "min_share": shares[0], "max_share": shares[-1]}
