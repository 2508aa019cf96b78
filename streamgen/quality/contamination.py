"""Finds texts of test sets among records, by word n-grams (Brown et al. 2020, arXiv 2005.14165, appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.ngrams import in_groups
from streamgen.quality.overlaps import Overlap, index_of
from streamgen.record import Record
from streamgen.settings import FilePath, Settings
from streamgen.text import text_of, words

_SHOWN = 300  # characters of a span


class ContaminationSettings(Settings, frozen=True, kw_only=True):
    """The `tests` are JSONL files, whose `test_columns` are compared, or texts with one test a line.

    A record is contaminated by `ngram` words in a row that a test has too. A test of fewer words is found as a whole,
    where it has at least `shortest`. None of this can be tuned: the index is made of it.
    """

    columns: Annotated[tuple[str, ...], Meta(min_length=1)]
    tests: Annotated[tuple[FilePath, ...], Meta(min_length=1)]
    test_columns: tuple[str, ...] = ()
    ngram: Annotated[int, Meta(ge=2, le=50)] = 13
    shortest: Annotated[int, Meta(ge=1, le=50)] = 6
    action: Literal["drop", "tag"] = "drop"

    def check(self) -> None:
        """Raise RecipeError for test files that cannot be read, ValueError for lengths that do not go together."""
        if self.shortest > self.ngram:
            raise ValueError(f"shortest: {self.shortest} is above ngram = {self.ngram}")
        index_of(self.tests, self.test_columns, self.ngram, self.shortest)

    def reads(self) -> frozenset[str]:
        """The columns."""
        return frozenset(self.columns)


def contamination(records: Sequence[Record], context: StageContext[ContaminationSettings]) -> Sequence[Result]:
    """Each record, or a drop as `contaminated`.

    With `action = "tag"` all pass; the score under the stage's name is the share of a record's words that stand in a
    test, the verdict is the longest such span and where it comes from: `test.jsonl:17: the words`.
    """
    settings = context.settings
    index = index_of(settings.tests, settings.test_columns, settings.ngram, settings.shortest)
    found = [[text_of(record, column, context.stage) for column in settings.columns] for record in records]
    documents = [words(text) for texts in found for text in texts]
    overlaps = [overlap for group in in_groups(documents) for overlap in index.overlaps(group)]
    step = len(settings.columns)
    return [
        _judged(record, documents[n * step : (n + 1) * step], overlaps[n * step : (n + 1) * step], context)
        for n, record in enumerate(records)
    ]


def _judged(
    record: Record,
    documents: Sequence[list[str]],
    overlaps: Sequence[Overlap | None],
    context: StageContext[ContaminationSettings],
) -> Result:
    found = [(overlap, own) for overlap, own in zip(overlaps, documents, strict=True) if overlap]
    if context.settings.action == "drop":
        return Drop("contaminated") if found else record
    covered = sum(overlap.covered for overlap, _ in found)
    record = record.scored(context.stage, covered / max(1, sum(map(len, documents))))
    if not found:
        return record
    longest, own = max(found, key=lambda each: each[0].end - each[0].start)
    span = " ".join(own[longest.start : longest.end])[:_SHOWN]
    verdict = f"{longest.source}: {span}"
    return record.with_meta(verdicts={**record.meta.verdicts, context.stage: verdict})
