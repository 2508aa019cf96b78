"""Keeps texts of a reasonable length."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of, words

Bound: TypeAlias = Annotated[int, Meta(ge=0)] | None


class LengthSettings(Settings, frozen=True):
    """Bounds, inclusive, on words and on characters; None sets no bound. Surrounding white space does not count."""

    column: str
    min_words: Bound = None
    max_words: Bound = None
    min_characters: Bound = None
    max_characters: Bound = None

    def check(self) -> None:
        """Raise ValueError where no length fits."""
        for unit, least, most in (
            ("words", self.min_words, self.max_words),
            ("characters", self.min_characters, self.max_characters),
        ):
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{unit}: {least} is above max_{unit} = {most}; no text passes")

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


def length(record: Record, context: StageContext[LengthSettings]) -> Result:
    """The record, or a drop as `too_short` or `too_long`."""
    settings = context.settings
    text = text_of(record, settings.column, context.stage).strip()
    reason = outside(len(text), settings.min_characters, settings.max_characters)
    if reason is None and (settings.min_words is not None or settings.max_words is not None):
        reason = outside(len(words(text)), settings.min_words, settings.max_words)
    return Drop(reason) if reason else record


def outside(count: int, least: int | None, most: int | None) -> str | None:
    """The reason why a count is out of bounds, or None.

    >>> outside(2, 3, None), outside(2, None, 1), outside(2, 2, 2)
    ('too_short', 'too_long', None)
    """
    if least is not None and count < least:
        return "too_short"
    return "too_long" if most is not None and count > most else None
