"""What an agent may know of the data so far: classes, saturation, acceptance."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping

from streamgen.control.agent import Observation, Reward, Trial, Yield
from streamgen.control.reward import class_errors
from streamgen.record import Record

LATELY = 4  # trials: what saturation and acceptance are taken over


class Outlook:
    """Counts records by the column `label`, and compares them with the shares that are `wanted` of each class.

    Without `wanted`, all classes that were seen are wanted alike. Coverage and deficit are relative to the records so
    far: a deficit of 0.5 says that there are half as many as there should be by now.
    """

    def __init__(self, label: str | None = None, wanted: Mapping[str, float] | None = None) -> None:
        self.label = label
        self._wanted = wanted or {}
        self._counts: Counter[str] = Counter()
        self._errors: Mapping[str, float] = {}
        self._lately: deque[Yield] = deque(maxlen=LATELY)

    def add(self, records: Iterable[Record]) -> None:
        """Count records of tickets that have just settled."""
        if self.label is not None:
            self._counts.update([record.text(self.label) for record in records])

    def recall(self, came: Yield) -> None:
        """Count what came of a trial of an earlier session."""
        self._counts.update(came.classes)

    def rewarded(self, came: Yield, reward: Reward) -> None:
        """A trial was told."""
        self._lately.append(came)
        if errors := class_errors(reward.metrics):
            self._errors = errors

    def observation(self, step: int, pending: tuple[Trial, ...], budget_left: float) -> Observation:
        """As of now."""
        coverage = self._coverage()
        duplicates, dropped, records = (
            sum(getattr(came, name) for came in self._lately) for name in ("duplicates", "dropped", "records")
        )
        return Observation(
            step=step,
            pending=pending,
            coverage=coverage,
            deficit={name: 1 - share for name, share in coverage.items()},
            errors=self._errors,
            saturation=duplicates / (duplicates + records) if duplicates else 0.0,
            acceptance=records / (records + dropped) if dropped else 1.0,
            budget_left=budget_left,
        )

    def _coverage(self) -> dict[str, float]:
        wanted = self._wanted or dict.fromkeys(sorted(self._counts), 1.0)
        total, weights = sum(self._counts[name] for name in wanted), sum(wanted.values())
        return {
            name: min(1.0, self._counts[name] * weights / (weight * total)) if total and weight else float(not weight)
            for name, weight in wanted.items()
        }
