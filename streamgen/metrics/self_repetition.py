"""How much of the texts of a column stands in other records too, word for word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from streamgen.metrics.texts import hashes_of
from streamgen.quality.ngrams import Hashes, NGrams, ngrams
from streamgen.record import Record, Value
from streamgen.settings import Settings

Counts: TypeAlias = NDArray[np.int64]
_State: TypeAlias = tuple[int, bytes, bytes]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd: n-grams of two documents are taken for one with a probability of 2^-64

_decode = msgspec.msgpack.Decoder(dict[int, _State]).decode


class SelfRepetitionSettings(Settings, frozen=True):
    """The column, the sizes of n-grams, and of how many distinct ones of each size the records are `kept` (16 bytes).

    An n-gram of eight words is hardly ever met twice by chance, one of four may be.
    """

    column: str
    n: Annotated[tuple[Annotated[int, Meta(ge=2, le=50)], ...], Meta(min_length=1)] = (4, 8)
    kept: Annotated[int, Meta(ge=16, le=1 << 24)] = 1 << 14

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class SelfRepetition:
    """`repeated_4` ...: the share of a record's n-grams that stand in another record too, over all records.

    After the self-repetition of Salkar et al. 2022 (AACL, section 3), who count for each text how often its 4-grams
    come in the others. An n-gram counts once for each record that has it. Exact while there are fewer distinct n-grams
    than `kept`, from then on of a uniform sample of them. `ngrams_4` ... are all that were counted.
    """

    def __init__(self, settings: SelfRepetitionSettings) -> None:
        self._column = settings.column
        self._counts = {n: SampledCounts(settings.kept) for n in settings.n}

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one of fewer than n words has no n-gram."""
        documents = hashes_of(records, self._column)
        for n, counts in self._counts.items():
            counts.update(_once_each(ngrams(documents, n), len(records)))

    def merge(self, other: SelfRepetition) -> None:
        """Take in another measurement."""
        for n, counts in other._counts.items():
            self._counts[n].merge(counts)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode({n: counts.state() for n, counts in self._counts.items()})

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        for n, state in _decode(snapshot).items():
            self._counts[n].load(state)

    def result(self) -> dict[str, Value]:
        """The shares so far; None where there is no n-gram."""
        shares = {f"repeated_{n}": counts.repeated() for n, counts in self._counts.items()}
        return {**shares, **{f"ngrams_{n}": counts.total for n, counts in self._counts.items()}}


class SampledCounts:
    """How often each of the `k` smallest hashes came: exact, as one of them was among them from its first time on."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._hashes: Hashes = np.empty(0, np.uint64)  # sorted, without repeats
        self._counts: Counts = np.empty(0, np.int64)
        self._waiting: list[tuple[Hashes, Counts]] = []
        self._waits = 0
        self.total = 0

    def update(self, hashes: Hashes) -> None:
        """Count each of these hashes once more."""
        self.total += len(hashes)
        self._take(hashes, np.ones(len(hashes), np.int64))

    def merge(self, other: SampledCounts) -> None:
        """Take in all that another one has counted."""
        self.total += other.total
        self._take(*other._settled())

    def state(self) -> _State:
        """All that it knows, for `load`."""
        hashes, counts = self._settled()
        return self.total, hashes.astype("<u8").tobytes(), counts.astype("<i8").tobytes()

    def load(self, state: _State) -> None:
        """Know what another one knew."""
        self.total = state[0]
        self._hashes = np.frombuffer(state[1], "<u8").astype(np.uint64)
        self._counts = np.frombuffer(state[2], "<i8").astype(np.int64)

    def repeated(self) -> float | None:
        """The share of those counted that came more than once; None of nothing."""
        counts = self._settled()[1]
        return float(counts[counts > 1].sum() / counts.sum()) if len(counts) else None

    def _take(self, hashes: Hashes, counts: Counts) -> None:
        if len(self._hashes) == self._k:
            is_small = hashes <= self._hashes[-1]
            hashes, counts = hashes[is_small], counts[is_small]
        self._waiting.append((hashes, counts))
        self._waits += len(hashes)
        if self._waits >= 4 * self._k:
            self._settled()

    def _settled(self) -> tuple[Hashes, Counts]:
        if self._waiting:
            hashes = np.concatenate([self._hashes, *(hashes for hashes, _ in self._waiting)])
            counts = np.concatenate([self._counts, *(counts for _, counts in self._waiting)])
            self._hashes, where = np.unique(hashes, return_inverse=True)
            self._counts = np.bincount(where, counts, len(self._hashes)).astype(np.int64)
            self._hashes, self._counts = self._hashes[: self._k], self._counts[: self._k]
            self._waiting, self._waits = [], 0
        return self._hashes, self._counts


def _once_each(found: NGrams, documents: int) -> Hashes:
    """The n-grams without those that the same document has already."""
    ends = np.append(found.starts[1:], len(found.hashes))
    document = np.repeat(np.arange(documents, dtype=np.uint64), ends - found.starts)
    _, first = np.unique(found.hashes + document * _FACTOR, return_index=True)
    once: Hashes = found.hashes[first]
    return once
