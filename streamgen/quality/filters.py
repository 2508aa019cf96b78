"""Several filters as one stage, which learns in what order they cost least."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.members import Member, members_of
from streamgen.quality.ordering import Ordering
from streamgen.record import Record, Value
from streamgen.settings import Settings, StageTables

Clock: TypeAlias = Callable[[], float]

_PROFILE_EVERY = 32  # batches, of which one is shown to every member: 3 % of what all of them cost


class FiltersSettings(Settings, frozen=True, kw_only=True):
    """The `members` are stages that only filter, each a table with its `type`, a `name` where two are of one type,
    and its settings. They judge in the order in which they stand, or with `order = "auto"` in the one that costs least.

    A member that keeps a memory, asks a model or changes columns is a stage of its own: what such a stage is shown
    depends on the order.
    """

    members: Annotated[StageTables, Meta(min_length=1)]
    order: Literal["auto", "given"] = "auto"

    def check(self) -> None:
        """Raise RecipeError and ValueError for members that cannot be one."""
        members_of(self.members)

    def reads(self) -> frozenset[str] | None:
        """What any of the members reads; None where one of them cannot tell."""
        read = [member.settings.reads() if member.settings else frozenset() for member in members_of(self.members)]
        known = [columns for columns in read if columns is not None]
        return frozenset[str]().union(*known) if len(known) == len(read) else None


class MemberCounts(msgspec.Struct):
    """What a member was shown, what it was the first to drop, and the seconds that it took."""

    judged: int = 0
    dropped: int = 0
    seconds: float = 0.0


class Filters:
    """Drops what any member drops, under `member.reason`; what passes carries the scores of all.

    Which records pass does not depend on the order, for each member judges a record by itself. Which member is the
    first to drop one does, and so do the reasons of the drops: with `order = "auto"` they may differ from run to run.
    """

    def __init__(self, settings: FiltersSettings, clock: Clock = perf_counter) -> None:
        self._members = members_of(settings.members)
        self._ordering = Ordering(len(self._members))
        self._counts = [MemberCounts() for _ in self._members]
        self._clock = clock
        self._batches = 0

    def __call__(self, records: Sequence[Record], context: StageContext[FiltersSettings]) -> Sequence[Result]:
        """Each record that all members keep, and a drop for each other."""
        is_learned = context.settings.order == "auto"
        order = self._ordering.order if is_learned else tuple(range(len(self._members)))
        is_profile = is_learned and (self._batches % _PROFILE_EVERY == 0 or not self._ordering.is_ready)
        judging = _Judging(records, self._members, self._clock)
        for member in order:
            judging.ask(member, range(len(records)) if is_profile else judging.left)
        # Only now is anything remembered: whatever a member raises, the batch is shown again, record by record.
        self._batches += 1
        judging.count(self._counts)
        if is_learned:
            self._ordering.spent(judging.judged, judging.seconds)
        if is_profile:
            self._ordering.profile(judging.masks())
        return judging.results()

    def statistics(self) -> Mapping[str, MemberCounts]:
        """The counts of each member, in the order in which they would judge now."""
        return {self._members[member].name: self._counts[member] for member in self._ordering.order}

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {own.dropped}/{own.judged}" for name, own in self.statistics().items())
        return f"<Filters {told}>"


class _Judging:
    """One batch on its way through the members."""

    def __init__(self, records: Sequence[Record], members: Sequence[Member], clock: Clock) -> None:
        self._records, self._members, self._clock = records, members, clock
        self._said: list[dict[int, Result]] = [{} for _ in records]  # by member
        self.left: list[int] = list(range(len(records)))  # that nobody dropped
        self._first: dict[int, int] = {}  # record -> the member that was the first to drop it
        self.judged = [0] * len(members)
        self.seconds = [0.0] * len(members)

    def ask(self, member: int, numbers: Sequence[int]) -> None:
        """Show these records to a member."""
        started = self._clock()
        said = self._members[member].judge([self._records[n] for n in numbers])
        self.seconds[member] += self._clock() - started
        self.judged[member] += len(numbers)
        for n, result in zip(numbers, said, strict=True):
            self._said[n][member] = result
            if isinstance(result, Drop):
                self._first.setdefault(n, member)
        self.left = [n for n in self.left if n not in self._first]

    def count(self, counts: Sequence[MemberCounts]) -> None:
        """Add what happened to each member's counts."""
        for own, judged, seconds in zip(counts, self.judged, self.seconds, strict=True):
            own.judged += judged
            own.seconds += seconds
        for member in self._first.values():
            counts[member].dropped += 1

    def masks(self) -> list[int]:
        """Of each record, one bit for each member that drops it."""
        return [sum(1 << member for member, result in said.items() if isinstance(result, Drop)) for said in self._said]

    def results(self) -> list[Result]:
        """The stage's answers."""
        return [self._result(n) for n in range(len(self._records))]

    def _result(self, n: int) -> Result:
        if (member := self._first.get(n)) is not None:
            dropped = self._said[n][member]
            assert isinstance(dropped, Drop)
            return Drop(f"{self._members[member].name}.{dropped.reason}")
        record = self._records[n]
        for member in range(len(self._members)):  # in the order in which they stand, whatever the one they judged in
            record = _with_provenance(record, self._said[n][member])
        return record


def _with_provenance(record: Record, kept: Value) -> Record:
    """The record with the scores and verdicts that a member gave it."""
    if not isinstance(kept, Record) or kept.meta is record.meta:
        return record
    meta = record.meta
    return record.with_meta(
        scores={**meta.scores, **kept.meta.scores}, verdicts={**meta.verdicts, **kept.meta.verdicts}
    )
