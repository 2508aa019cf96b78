"""Keeps texts that do what was asked of them: constraints as data, each verified, counted strictly or loosely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import RecipeError
from streamgen.quality._verifiers import VERIFIERS, Format, Outcome, Tone, verified
from streamgen.record import Record, Value
from streamgen.settings import Settings
from streamgen.text import text_of, words

Count: TypeAlias = Literal["strict", "loose"]
Bound: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)] | None
Grade: TypeAlias = Annotated[float, Meta(ge=-5.0, le=30.0)] | None


class Constraints(Settings, frozen=True, kw_only=True):
    """What a text has to be; what is not set is not asked. Bounds are inclusive.

    `must` and `must_not` are phrases, found word by word whatever their case; of `terms` at least `min_terms` have to
    stand in the text. `languages` are ISO 639 codes. `format` is the form of the whole text, `min_items` and
    `max_items` count the members of a list. The whole text is JSON that fits the `schema`. `tone` goes by marks on the
    surface of English (contractions, exclamation marks, words of courtesy), the grades by Flesch and Kincaid's formula
    for English: years of school.
    """

    schema: Mapping[str, Value] | None = None
    min_words: Bound = None
    max_words: Bound = None
    max_characters: Bound = None
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    min_terms: Annotated[int, Meta(ge=1)] = 1
    languages: tuple[str, ...] = ()
    format: Format | None = None
    min_items: Bound = None
    max_items: Bound = None
    tone: Tone | None = None
    min_grade: Grade = None
    max_grade: Grade = None

    def names(self) -> list[str]:
        """The constraints that are set."""
        return [name for name in VERIFIERS if getattr(self, name) not in (None, ())]

    def check(self) -> None:
        """Raise ValueError for what no text can be, MissingExtra where the languages' detector is not installed."""
        if not self.names():
            raise ValueError(f"constraints: set at least one of {', '.join(VERIFIERS)}")
        for unit in ("words", "items", "grade"):
            least, most = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{unit}: {least} is above max_{unit} = {most}; no text passes")
        self._check_phrases()
        self._check_schema()
        if self.languages:
            from streamgen.quality.language import LanguageSettings

            LanguageSettings(column="text", languages=self.languages).check()

    def _check_phrases(self) -> None:
        for field in ("must", "must_not", "terms"):
            if wordless := [phrase for phrase in getattr(self, field) if not words(phrase)]:
                raise ValueError(f"{field}: {wordless[0]!r} has no word in it")
        if both := sorted({*map(str.casefold, self.must)} & {*map(str.casefold, self.must_not)}):
            raise ValueError(f"must: {both[0]!r} is in `must_not` too; no text passes")
        if self.terms and self.min_terms > len(self.terms):
            raise ValueError(f"min_terms: {self.min_terms} is more than the {len(self.terms)} terms")

    def _check_schema(self) -> None:
        if self.schema is None:
            return
        from streamgen.llm.shape import shape_of

        try:
            shape_of(self.schema, anew=True)
        except RecipeError as error:
            raise ValueError(f"schema: {error}") from None


class ConstraintsSettings(Constraints, frozen=True, kw_only=True):
    """The text of `column` has to pass all constraints.

    Counted `loose`, one passes too that is met without the first line, the last line or the marks of emphasis, as
    where an answer begins with "Sure, here it is:". With `action = "tag"` all records pass.
    """

    column: str
    count: Count = "strict"
    action: Literal["drop", "tag"] = "drop"

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


def constraints(records: Sequence[Record], context: StageContext[ConstraintsSettings]) -> Sequence[Result]:
    """Each record with a verdict on each constraint, or a drop as `violated_` and the first constraint's name."""
    settings = context.settings
    results: list[Result] = []
    for record in records:
        outcomes = verified(text_of(record, settings.column, context.stage), settings)
        failed = violated(outcomes, settings.count)
        is_dropped = bool(failed) and settings.action == "drop"
        results.append(Drop(f"violated_{failed[0]}") if is_dropped else marked(record, outcomes, context.stage))
    return results


def violated(outcomes: Mapping[str, Outcome], count: Count) -> list[str]:
    """The constraints that are not met, by this way to count."""
    failing = ("violated",) if count == "loose" else ("violated", "loose")
    return [name for name, outcome in outcomes.items() if outcome in failing]


def marked(record: Record, outcomes: Mapping[str, Outcome], stage: str) -> Record:
    """The record with the verdicts `stage.constraint`, and how many are met, as `stage.strict` and `stage.loose`."""
    met = {count: float(len(outcomes) - len(violated(outcomes, count))) for count in ("strict", "loose")}
    scores = {**record.meta.scores, **{f"{stage}.{count}": number for count, number in met.items()}}
    verdicts = {**record.meta.verdicts, **{f"{stage}.{name}": outcome for name, outcome in outcomes.items()}}
    return record.with_meta(scores=scores, verdicts=verdicts)
