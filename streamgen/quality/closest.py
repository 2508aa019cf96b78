"""Keeps the share of each class's texts that are most like its seeds, and least like those of other classes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.profiles import Profiles, profiles_of
from streamgen.record import Record
from streamgen.settings import FilePath, Settings
from streamgen.text import text_of

_TRIALS = 64  # whose scores are kept: more than are ever out at once
_GOLDEN = (5**0.5 - 1) / 2  # its multiples spread evenly between whole numbers


class ClosestSettings(Settings, frozen=True, kw_only=True):
    """About `share` of the texts of each class pass; 1 keeps all.

    `seeds` is a JSONL file with the same columns. A text is compared with up to `window` others, the newest that came
    with its label under the same trial: the first of them are therefore judged by few.
    """

    seeds: FilePath
    column: str = "text"
    label: str = "label"
    share: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.5
    window: Annotated[int, Meta(ge=2)] = 256

    def check(self) -> None:
        """Raise RecipeError for seeds that cannot be read."""
        profiles_of(self.seeds, self.column, self.label)

    def reads(self) -> frozenset[str]:
        """The text's and the label's column."""
        return frozenset({self.column, self.label})


class Closest:
    """Drops a record as `not_close` where too many of its class were closer to their seeds.

    The measure is `Profiles.closeness`; what passes carries it as a score, under the stage's name. It says how
    typical a text is for its class, not how good: whether a share below 1 helps is for a reward to find out. Nothing
    waits for a batch: a record is judged at once, by those before it. A class without seeds passes.
    """

    def __init__(self, settings: ClosestSettings) -> None:
        self._trials: dict[int | None, dict[str, _Window]] = {}
        self._seen = 0

    def __call__(self, records: Sequence[Record], context: StageContext[ClosestSettings]) -> Sequence[Result]:
        """Each record that is close enough, scored, and a drop for each that is not."""
        settings = context.settings
        profiles = profiles_of(settings.seeds, settings.column, settings.label)
        return [self._judged(record, profiles, context) for record in records]

    def __repr__(self) -> str:
        return f"<Closest of {len(self._trials)} trials>"

    def _judged(self, record: Record, profiles: Profiles, context: StageContext[ClosestSettings]) -> Result:
        settings = context.settings
        label = text_of(record, settings.label, context.stage)
        closeness = profiles.closeness(text_of(record, settings.column, context.stage), label)
        if closeness is None:
            return record
        window = self._of_trial(record.meta.trial).setdefault(label, _Window(settings.window))
        self._seen += 1
        if not window.is_among_best(closeness, settings.share, self._seen * _GOLDEN % 1):
            return Drop("not_close")
        return record.scored(context.stage, closeness)

    def _of_trial(self, trial: int | None) -> dict[str, _Window]:
        found = self._trials.setdefault(trial, {})
        if len(self._trials) > _TRIALS:
            del self._trials[next(iter(self._trials))]
        return found


class _Window:
    """The newest scores, also in order."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []

    def is_among_best(self, score: float, share: float, place: float) -> bool:
        """Whether the score is in the best `share` of the window, of which it becomes a part.

        `place`, spread evenly over 0 to 1, is where it stands among its equals, itself one of them: so the share holds
        in the mean where there are few scores, and where many are the same.
        """
        self._newest.append(score)
        insort(self._ordered, score)
        if len(self._newest) > self._size:
            del self._ordered[bisect_left(self._ordered, self._newest.popleft())]
        first, behind = bisect_left(self._ordered, score), bisect_right(self._ordered, score)
        return len(self._ordered) - behind + place * (behind - first) <= share * len(self._ordered)
