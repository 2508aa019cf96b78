"""Guards: a run in which too much fails, or nothing moves, ends with a reason instead of going on for ever."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

import anyio

from streamgen.engine.ack import Ack, Outcome
from streamgen.engine.demand import Demand
from streamgen.errors import NoProgress, TooManyFailures

_LOOKS = 10  # a stall is told at most a tenth of its time late


class FailureGuard:
    """Raises TooManyFailures when more than `share` of the last `window` tickets failed, once `enough` have ended."""

    def __init__(self, share: float = 0.5, window: int = 200, enough: int = 20) -> None:
        self.share, self.enough = share, min(enough, window)
        self._recent: deque[str | None] = deque(maxlen=window)

    def watch(self, acks: Sequence[Ack]) -> None:
        """Take in tickets that have ended."""
        errors = [ack.error if ack.outcome is Outcome.FAILED else None for ack in acks if ack.error]
        self._recent.extend(errors)
        self._recent.extend((None,) * (len(acks) - len(errors)))
        if errors:
            self._judge()

    def _judge(self) -> None:
        errors = Counter(error for error in self._recent if error)
        failed, seen = errors.total(), len(self._recent)
        if seen >= self.enough and failed > self.share * seen:
            common, times = errors.most_common(1)[0]
            raise TooManyFailures(
                f"{failed} of the last {seen} tickets failed, more than the allowed share of {self.share:g}; "
                f"most often ({times} times): {common}. The dead letters tell which records"
            )


class BarrenGuard:
    """Raises NoProgress when `limit` tickets in a row have ended and none of them was accepted."""

    def __init__(self, demand: Demand, limit: int = 1000) -> None:
        self.limit = limit
        self._demand = demand
        self._accepted = self._barren = 0
        self._reasons: Counter[str] = Counter()

    def watch(self, acks: Sequence[Ack]) -> None:
        """Take in tickets that have ended."""
        if self._demand.accepted != self._accepted:
            self._accepted, self._barren = self._demand.accepted, 0
            self._reasons.clear()
            return
        self._barren += sum(not ack.surplus for ack in acks)
        for ack in acks:
            self._reasons.update(f"dropped by {stage}: {reason}" for stage, reason in ack.drops or {})
            if ack.error:
                self._reasons[f"failed in {ack.error}"] += 1
        if self._barren >= self.limit:
            reasons = ", ".join(f"{reason} ({times} times)" for reason, times in self._reasons.most_common(3))
            raise NoProgress(f"the last {self._barren} tickets gave no accepted record: {reasons}")


async def watch_for_stall(
    stall_s: float, moves: Callable[[], int], is_excused: Callable[[], bool], describe: Callable[[], str]
) -> None:
    """Raise NoProgress when `moves` has not changed for `stall_s` seconds, and that is not the consumer's wish.

    It looks ten times in that while, and begins anew whenever something has moved or is excused.
    """
    seen, looks = moves(), 0
    while looks < _LOOKS:
        await anyio.sleep(stall_s / _LOOKS)
        now = moves()
        looks = 0 if now != seen or is_excused() else looks + 1
        seen = now
    raise NoProgress(f"nothing moved for {stall_s:g} s: {describe()}")
