"""Successive halving without barriers: settings that do well get more tickets, the others no more."""

from __future__ import annotations

from collections.abc import Sequence


class Halving:
    """Which trials are promoted to the next rung, a larger batch.

    Of those that have a reward at a rung, the best 1/eta may go on, eta being how many times larger the next rung is;
    the top rung first (ASHA: Li et al., A System for Massively Parallel Hyperparameter Tuning, 2020, algorithm 2).
    Nobody waits for the others of a rung: who is promoted early may turn out to be no better than the rest.
    """

    def __init__(self, rungs: Sequence[int]) -> None:
        self.rungs = tuple(rungs)
        self._rewards: list[dict[int, float | None]] = [{} for _ in rungs]  # of each rung, by trial
        self._promoted: list[set[int]] = [set() for _ in rungs]

    def is_top(self, rung: int) -> bool:
        """Whether trials at this rung get no more tickets."""
        return rung + 1 >= len(self.rungs)

    def more(self, rung: int) -> int:
        """How many tickets more the next rung takes."""
        return self.rungs[rung + 1] - self.rungs[rung]

    def tell(self, trial: int, rung: int, value: float | None) -> None:
        """A trial has its reward at a rung; None where it failed: it goes no further."""
        self._rewards[rung][trial] = value

    def promoted(self, trial: int, rung: int) -> None:
        """A trial has left a rung for the next one."""
        self._promoted[rung].add(trial)

    def next(self) -> int | None:
        """The trial that should get more tickets now; None where a new one should begin."""
        for rung in reversed(range(len(self.rungs) - 1)):
            best = self._best(rung)
            if (found := next((trial for trial in best if trial not in self._promoted[rung]), None)) is not None:
                return found
        return None

    def _best(self, rung: int) -> list[int]:
        """The best 1/eta of a rung, the best first, the older one of equals."""
        rewards = self._rewards[rung]
        values = {trial: value for trial, value in rewards.items() if value is not None}
        count = len(rewards) * self.rungs[rung] // self.rungs[rung + 1]
        return sorted(values, key=lambda trial: (-values[trial], trial))[:count]
