"""Which trial each ticket belongs to."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from streamgen.control.agent import Trial


class Ranges:
    """Ranges of tickets, each of one trial, that follow upon each other without gaps; a trial may have several."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._trials: list[int] = []
        self.end = 0  # the first ticket that no trial has

    def add(self, tickets: int, trial: int) -> int:
        """Give the next tickets to a trial; the first of them."""
        first = self.end
        self._starts.append(first)
        self._trials.append(trial)
        self.end += tickets
        return first

    def restore(self, ranges: Iterable[tuple[int, int, int]]) -> None:
        """Take over ranges of an earlier session: first ticket, tickets, trial."""
        for first, tickets, trial in sorted(ranges):
            if first != self.end:
                raise ValueError(f"no trial is known of the tickets {self.end} to {first - 1}")
            self.add(tickets, trial)

    def trial_of(self, ticket: int) -> int:
        """The trial's id. Raises ValueError for a ticket that none has."""
        if not 0 <= ticket < self.end:
            raise ValueError(f"ticket {ticket} belongs to no trial: the trials so far end before ticket {self.end}")
        return self._trials[bisect_right(self._starts, ticket) - 1]


def cut_off(trials: Sequence[Trial], end: int) -> Iterator[Trial]:
    """The trials without their tickets from `end` on; those that have no others are left out."""
    for trial in trials:
        left = [(first, min(count, end - first)) for first, count in trial.ranges if first < end]
        if left:
            rung = trial.rung - (len(trial.ranges) - len(left))
            yield msgspec.structs.replace(trial, tickets=left[0][1], more=tuple(left[1:]), rung=rung)
