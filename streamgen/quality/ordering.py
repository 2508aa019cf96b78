"""In which order filters cost least, learned from a few records that all of them judged."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

_WINDOW = 512  # profiled records
_READY = 128  # of them, until each batch is a profile
_FORGET = 0.98  # what was learned of the cost, with each batch


class Ordering:
    """The order of n filters: first what costs least for each record that it drops.

    A-Greedy of Babu et al., "Adaptive ordering of pipelined stream filters" (SIGMOD 2004), section 4: of the filters
    that are left, the next one is that with the least cost / P(drop | none before it drops). The probabilities are
    those of a window of profiled records, which every filter has judged: so filters that drop the same records do not
    both come first, and the expected cost is at most four times that of the best order.
    """

    def __init__(self, filters: int) -> None:
        self.order: tuple[int, ...] = tuple(range(filters))
        self._profile: deque[int] = deque(maxlen=_WINDOW)
        self._seconds = [0.0] * filters
        self._judged = [0.0] * filters

    @property
    def is_ready(self) -> bool:
        """Whether enough records were profiled to go by."""
        return len(self._profile) >= _READY

    def spent(self, judged: Sequence[int], seconds: Sequence[float]) -> None:
        """Learn what a batch took at each filter."""
        for n, (count, taken) in enumerate(zip(judged, seconds, strict=True)):
            if count:
                self._judged[n] = self._judged[n] * _FORGET + count
                self._seconds[n] = self._seconds[n] * _FORGET + taken

    def profile(self, masks: Sequence[int]) -> None:
        """Learn which filters drop which records, a bit for each filter, and order them anew."""
        self._profile.extend(masks)
        if self.is_ready:
            self.order = greedy([self._cost(n) for n in range(len(self.order))], self._profile)

    def __repr__(self) -> str:
        return f"<Ordering {self.order} by {len(self._profile)} records>"

    def _cost(self, n: int) -> float:
        return self._seconds[n] / self._judged[n] if self._judged[n] else 0.0


def greedy(costs: Sequence[float], masks: Sequence[int] | deque[int]) -> tuple[int, ...]:
    """The order by ascending cost of a drop, each filter judged by the records that those before it leave.

    >>> greedy([1.0, 1.0, 5.0], [0b010, 0b010, 0b001, 0b100])
    (1, 0, 2)

    What drops nothing that is left comes last, the cheapest first.
    """
    left = Counter(masks)
    rest = list(range(len(costs)))
    order: list[int] = []
    while rest:
        drops = {n: sum(count for mask, count in left.items() if mask >> n & 1) for n in rest}
        best = min(rest, key=lambda n: (costs[n] / drops[n] if drops[n] else float("inf"), costs[n], n))
        order.append(best)
        rest.remove(best)
        left = Counter({mask: count for mask, count in left.items() if not mask >> best & 1})
    return tuple(order)
