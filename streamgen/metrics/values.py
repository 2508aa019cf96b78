"""Counts values of a column in bounded memory, with the same result for any split, order and merging."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b


class ValueCounts:
    """How often each value came, for at most `limit` values: those with the smallest digests.

    A value that is among them at the end was among them from its first occurrence on (the bar only falls), so its
    count is exact; `total` counts all. Below the limit nothing is left out.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()
        self.total = 0

    def update(self, values: Iterable[str]) -> None:
        """Count each of these values once more."""
        self._add(Counter(values))

    def merge(self, other: ValueCounts) -> None:
        """Take in all that another one has counted."""
        self._add(other._counts, other.total)

    def state(self) -> tuple[int, dict[str, int]]:
        """All that it knows, for `load`."""
        return self.total, dict(self._counts)

    def load(self, state: tuple[int, dict[str, int]]) -> None:
        """Know what another one knew."""
        self.total, self._counts = state[0], Counter(state[1])

    def counts(self) -> dict[str, int]:
        """The values with their counts, the most frequent first."""
        return dict(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])))

    def _add(self, counts: Counter[str], total: int | None = None) -> None:
        self.total += counts.total() if total is None else total
        self._counts.update(counts)
        if len(self._counts) > self._limit:
            kept = sorted(self._counts, key=_digest)[: self._limit]
            self._counts = Counter({value: self._counts[value] for value in kept})


def _digest(value: str) -> bytes:
    return blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).digest()
