"""Keeps no more records of a class, or of a topic, than are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of

Count = Annotated[int, Meta(ge=0)]


class QuotaSettings(Settings, frozen=True, kw_only=True):
    """At most so many records for each value of `column` as `quotas` says, and `other` of each value not named there.

    Put it last, so that what it counts is accepted.
    """

    column: str = "label"
    quotas: Mapping[str, Count] = {}
    other: Count | None = None

    def check(self) -> None:
        """Raise ValueError where nothing is limited or nothing can pass."""
        if not self.quotas and self.other is None:
            raise ValueError("quotas: give how many of each value are wanted, or `other` for all values alike")
        if not any(self.quotas.values()) and not self.other:
            raise ValueError("quotas: at least one must be above 0")

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Quota:
    """Drops a record as `quota_full` where as many of its kind have passed; `unknown_class` where none is wanted."""

    def __init__(self, settings: QuotaSettings) -> None:
        self.keep: Keep = forget
        self._passed: Counter[str] = Counter()
        self._own: dict[str, str] = {}  # of records that come again

    def __call__(self, records: Sequence[Record], context: StageContext[QuotaSettings]) -> Sequence[Result]:
        """Each record that is wanted, and a drop for each that is not."""
        values = [text_of(record, context.settings.column, context.stage) for record in records]
        return [self._judged(record, value, context.settings) for record, value in zip(records, values, strict=True)]

    def recall(self, memories: Sequence[Memory]) -> None:
        """Count what passed in earlier sessions."""
        for memory in memories:
            value = memory.body.decode("utf-8", "surrogatepass")
            self._passed[value] += 1
            if memory.record is not None:
                self._own[memory.record] = value

    def __repr__(self) -> str:
        return f"<Quota of {len(self._passed)} values, {self._passed.total()} passed>"

    def _judged(self, record: Record, value: str, settings: QuotaSettings) -> Result:
        if self._own.get(record.id) == value:
            return record
        wanted = settings.quotas.get(value, settings.other if value not in settings.quotas else None)
        if wanted is None:
            return Drop("unknown_class")
        if self._passed[value] >= wanted:
            return Drop("quota_full")
        self._passed[value] += 1
        self.keep(record.id, value.encode("utf-8", "surrogatepass"))
        return record
