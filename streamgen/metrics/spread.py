"""How real numbers spread: exact mean and standard deviation, quantiles by a sketch, a histogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil, frexp, isfinite, isqrt, ldexp
from typing import TypeAlias

from streamgen.record import Value

_SHIFT = 64
_BITS = 8  # of a number that the sketch keeps: quantiles are off by 0.4 % at most
_LEAST, _GREATEST = 2.0**-40, 2.0**40  # beyond which the sketch tells numbers apart no more
_BARS = 10
_FEW = 24  # values that a histogram tells one by one

QUANTILES: Mapping[str, float] = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}

State: TypeAlias = tuple[int, str, str, float | None, float | None, dict[str, int]]


class Spread:
    """Numbers, taken in any order. Sums are kept as integers (64 bits behind the point), so that order is nothing.

    Memory: a count for each number of 8 significant bits, some 20,000 at most (a sketch as in Masson et al. 2019).
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = self._squares = 0
        self._min: float | None = None
        self._max: float | None = None
        self._counts: Counter[float] = Counter()

    def update(self, numbers: Iterable[float]) -> None:
        """Take in these numbers, which are finite."""
        found = [float(number) for number in numbers]
        if not found:
            return
        self.count += len(found)
        for fixed in map(_fixed, found):
            self._sum += fixed
            self._squares += fixed * fixed
        self._widen(min(found), max(found))
        self._counts.update(map(_rounded, found))

    def merge(self, other: Spread) -> None:
        """Take in all that another one has seen."""
        self.count += other.count
        self._sum += other._sum
        self._squares += other._squares
        if other._min is not None and other._max is not None:
            self._widen(other._min, other._max)
        self._counts.update(other._counts)

    def state(self) -> State:
        """All that it knows, for `load`."""
        counts = {number.hex(): count for number, count in self._counts.items()}
        return self.count, hex(self._sum), hex(self._squares), self._min, self._max, counts

    def load(self, state: State) -> None:
        """Know what another one knew."""
        self.count, total, squares, self._min, self._max, counts = state
        self._sum, self._squares = int(total, 16), int(squares, 16)
        self._counts = Counter({float.fromhex(number): count for number, count in counts.items()})

    def mean(self) -> float | None:
        """The mean; None of nothing."""
        return self._sum / (self.count << _SHIFT) if self.count else None

    def total(self) -> float:
        """The sum."""
        return self._sum / (1 << _SHIFT)

    def result(self) -> dict[str, Value]:
        """count, mean, sd (of these numbers, not of others like them), min, max and quantiles; None of nothing."""
        return {
            "count": self.count, "mean": self.mean(), "sd": self._deviation(),
            "min": self._min, "max": self._max, **self._quantiles(), "histogram": self.histogram(),
        }  # fmt: skip

    def histogram(self) -> dict[str, int]:
        """See `histogram_of`."""
        return histogram_of(self._counts)

    def _deviation(self) -> float | None:
        if not self.count:
            return None
        return isqrt(self.count * self._squares - self._sum**2) / (self.count << _SHIFT)

    def _widen(self, least: float, most: float) -> None:
        self._min = least if self._min is None else min(self._min, least)
        self._max = most if self._max is None else max(self._max, most)

    def _quantiles(self) -> dict[str, float | None]:
        found: dict[str, float | None] = dict.fromkeys(QUANTILES)
        waiting = list(QUANTILES.items())
        below = 0
        for number, times in sorted(self._counts.items()):
            below += times
            while waiting and below >= ceil(waiting[0][1] * self.count):
                found[waiting.pop(0)[0]] = number
        return found


def histogram_of(counts: Mapping[int, int] | Mapping[float, int]) -> dict[str, int]:
    """How often each value came, where they are few; else the counts of ten equal parts, by where each begins.

    >>> histogram_of({1: 2, 4: 1}), histogram_of(dict.fromkeys(range(100), 1))["9.9"]
    ({'1': 2, '4': 1}, 10)
    """
    if len(counts) <= _FEW:
        return {f"{number:.4g}": count for number, count in sorted(counts.items())}
    low, high = min(counts), max(counts)
    bars = [0] * _BARS
    for number, count in counts.items():
        bars[min(_BARS - 1, int(_BARS * ((number - low) / (high - low))))] += count
    return {f"{low + (high - low) * n / _BARS:.4g}": count for n, count in enumerate(bars)}


def number_of(value: Value) -> float | None:
    """The value as a finite number; None for what is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if is_number and isfinite(value) else None


def _fixed(number: float) -> int:
    """The number times 2^64, as an integer."""
    return int(number) << _SHIFT if abs(number) >= 2.0**53 else int(number * 2.0**_SHIFT)


def _rounded(number: float) -> float:
    if abs(number) < _LEAST:
        return 0.0
    mantissa, exponent = frexp(max(-_GREATEST, min(_GREATEST, number)))
    return ldexp(round(ldexp(mantissa, _BITS)), exponent - _BITS)
