"""How varied the texts of a column are: the share of distinct n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from streamgen.metrics.texts import hashes_of
from streamgen.quality.ngrams import Hashes, ngrams
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(dict[int, tuple[int, bytes]]).decode


class DistinctNSettings(Settings, frozen=True):
    """The column, the sizes of n-grams, and how many hashes are `kept` of each size (8 bytes each)."""

    column: str
    n: Annotated[tuple[Annotated[int, Meta(ge=1, le=10)], ...], Meta(min_length=1)] = (1, 2, 3)
    kept: Annotated[int, Meta(ge=16, le=1 << 24)] = 1 << 14

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class DistinctN:
    """`distinct_1`, `distinct_2` ...: distinct n-grams of words divided by all (Li et al. 2016, arXiv 1510.03055).

    Exact while there are fewer distinct n-grams than `kept` hashes; from then on estimated with a relative standard
    error of 1 / sqrt(kept - 2): 0.8 % by default. Also `ngrams_1` ..., their number, which the share falls with.
    """

    def __init__(self, settings: DistinctNSettings) -> None:
        self._column = settings.column
        self._sketches = {n: KMinimumValues(settings.kept) for n in settings.n}

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one without the column, or with fewer than n words, has no n-grams."""
        documents = hashes_of(records, self._column)
        for n, sketch in self._sketches.items():
            sketch.update(ngrams(documents, n).hashes)

    def merge(self, other: DistinctN) -> None:
        """Take in another measurement."""
        for n, sketch in other._sketches.items():
            self._sketches[n].merge(sketch)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode({n: sketch.state() for n, sketch in self._sketches.items()})

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        for n, state in _decode(snapshot).items():
            self._sketches[n].load(state)

    def result(self) -> dict[str, Value]:
        """The shares so far; None where there is no n-gram."""
        shares = {f"distinct_{n}": sketch.share() for n, sketch in self._sketches.items()}
        return {**shares, **{f"ngrams_{n}": sketch.total for n, sketch in self._sketches.items()}}


class KMinimumValues:
    """Counts distinct hashes from the k smallest (Bar-Yossef et al. 2002; error: Beyer et al. 2007, section 3.2)."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._smallest: Hashes = np.empty(0, np.uint64)  # sorted, without repeats
        self._waiting: list[Hashes] = []  # taken in by the next `_settled`: sorting for each batch would cost 3x
        self._waits = 0
        self.total = 0

    def update(self, hashes: Hashes) -> None:
        """Take in hashes, repeats included."""
        self.total += len(hashes)
        self._take(hashes)

    def merge(self, other: KMinimumValues) -> None:
        """Take in all that another one has seen."""
        self.total += other.total
        self._take(other._settled())

    def state(self) -> tuple[int, bytes]:
        """All that it knows, for `load`."""
        return self.total, self._settled().astype("<u8").tobytes()

    def load(self, state: tuple[int, bytes]) -> None:
        """Know what another one knew."""
        self.total, self._smallest = state[0], np.frombuffer(state[1], "<u8").astype(np.uint64)

    def distinct(self) -> float:
        """The number of distinct hashes: exact below k, else estimated."""
        smallest = self._settled()
        if len(smallest) < self._k:
            return len(smallest)
        return (self._k - 1) / ((int(smallest[-1]) + 1) / 2**64)

    def share(self) -> float | None:
        """Distinct hashes by all hashes; None where there are none."""
        return min(1.0, self.distinct() / self.total) if self.total else None

    def resemblance(self, other: KMinimumValues) -> float | None:
        """The Jaccard similarity of what both have seen; None where neither has seen anything.

        It is the share of both among the k smallest hashes of either (Broder 1997, section 2): exact below k.
        """
        own, others = self._settled(), other._settled()
        smallest = np.union1d(own, others)[: self._k]
        if not len(smallest):
            return None
        is_common = np.isin(smallest, own, assume_unique=True) & np.isin(smallest, others, assume_unique=True)
        return float(is_common.mean())

    def _take(self, hashes: Hashes) -> None:
        if len(self._smallest) == self._k:
            hashes = hashes[hashes < self._smallest[-1]]
        self._waiting.append(hashes)
        self._waits += len(hashes)
        if self._waits >= 4 * self._k:
            self._settled()

    def _settled(self) -> Hashes:
        self._smallest = np.unique(np.concatenate([self._smallest, *self._waiting]))[: self._k]
        self._waiting, self._waits = [], 0
        return self._smallest
