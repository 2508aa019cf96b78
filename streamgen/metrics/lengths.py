"""How long the texts of a column are, in words and in characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from math import ceil
from typing import TypeAlias

import msgspec

from streamgen.metrics.spread import histogram_of
from streamgen.metrics.texts import texts_of, words_of
from streamgen.record import Record, Value
from streamgen.settings import Settings

_EXACT_BITS = 11  # lengths below 2,048 are kept exactly, greater ones to 11 bits: at most 0.1 % too small
_State: TypeAlias = tuple[dict[int, int], int, int | None, int | None]
_QUANTILES = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}

_decode = msgspec.msgpack.Decoder(tuple[int, _State, _State]).decode


class LengthsSettings(Settings, frozen=True):
    """The column that is measured."""

    column: str

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Lengths:
    """`words` and `characters`, each with count, mean, min, max and quantiles; `missing` records lack the column.

    Memory: a number for each length below 2,048 and 1,024 for each doubling above it.
    """

    def __init__(self, settings: LengthsSettings) -> None:
        self._column = settings.column
        self._missing = 0
        self._words = Histogram()
        self._characters = Histogram()

    def update(self, records: Sequence[Record]) -> None:
        """Measure these records."""
        here = [self._column in record.columns for record in records]
        self._missing += here.count(False)
        self._words.update(list(map(len, compress(words_of(records, self._column), here))))
        self._characters.update(list(map(len, compress(texts_of(records, self._column), here))))

    def merge(self, other: Lengths) -> None:
        """Take in another measurement."""
        self._missing += other._missing
        self._words.merge(other._words)
        self._characters.merge(other._characters)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode((self._missing, self._words.state(), self._characters.state()))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._missing, words_, characters = _decode(snapshot)
        self._words.load(words_)
        self._characters.load(characters)

    def result(self) -> dict[str, Value]:
        """The measures so far; those of no text at all are None."""
        return {"words": self._words.result(), "characters": self._characters.result(), "missing": self._missing}


class Histogram:
    """Counts of non-negative integers: exact count, mean, minimum and maximum, quantiles to 0.1 %."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._sum = 0
        self._min: int | None = None
        self._max: int | None = None

    def update(self, numbers: Sequence[int]) -> None:
        """Count these numbers."""
        if numbers:
            self._counts.update(map(_rounded, numbers))
            self._widen(sum(numbers), min(numbers), max(numbers))

    def merge(self, other: Histogram) -> None:
        """Take in another histogram."""
        self._counts.update(other._counts)
        if other._min is not None and other._max is not None:
            self._widen(other._sum, other._min, other._max)

    def state(self) -> _State:
        """All that it knows, for `load`."""
        return dict(self._counts), self._sum, self._min, self._max

    def load(self, state: _State) -> None:
        """Know what another one knew."""
        counts, self._sum, self._min, self._max = state
        self._counts = Counter(counts)

    def result(self) -> dict[str, Value]:
        """count, mean, min, max, quantiles (the least number with at least that share at or below it), a histogram."""
        count = self._counts.total()
        mean = self._sum / count if count else None
        return {
            "count": count, "mean": mean, "min": self._min, "max": self._max, **self._quantiles(count),
            "histogram": histogram_of(self._counts),
        }  # fmt: skip

    def _widen(self, total: int, least: int, most: int) -> None:
        self._sum += total
        self._min = least if self._min is None else min(self._min, least)
        self._max = most if self._max is None else max(self._max, most)

    def _quantiles(self, count: int) -> dict[str, int | None]:
        found: dict[str, int | None] = dict.fromkeys(_QUANTILES)
        waiting = list(_QUANTILES.items())
        below = 0
        for number, times in sorted(self._counts.items()):
            below += times
            while waiting and below >= ceil(waiting[0][1] * count):
                found[waiting.pop(0)[0]] = number
        return found


def _rounded(number: int) -> int:
    shift = max(0, number.bit_length() - _EXACT_BITS)
    return number >> shift << shift
