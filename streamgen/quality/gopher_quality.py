"""Keeps texts that look like prose: the quality rules of MassiveText (Rae et al. 2021, arXiv 2112.11446, A.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.length import Bound, outside
from streamgen.quality.lines import lines_of, share
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of, words

Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]

_ELLIPSES = ("...", "…")
_BULLETS = ("•", "‣", "▪", "●", "◦", "- ", "* ")


class GopherQualitySettings(Settings, frozen=True, kw_only=True):
    """The paper's rules with its numbers, made for English pages of 50 words and more.

    A rule is off with None, and in a recipe with a bound that every text keeps: 0 for a least, 1 for a greatest share.

    Bounds on the words and on the mean length of a word; at most so many hash signs, and so many ellipses, a word; at
    most so large a share of the lines begins with a bullet, or ends with an ellipsis; at least so large a share of
    what spaces separate has a letter in it; at least so many of the `stop_words` occur. In scripts without spaces each
    character is a word: turn `min_mean_word` and `min_stop_words` off there.
    """

    column: str
    min_words: Bound = 50
    max_words: Bound = 100_000
    min_mean_word: Annotated[float, Meta(ge=0.0)] | None = 3.0
    max_mean_word: Annotated[float, Meta(ge=0.0)] | None = 10.0
    max_symbols: Annotated[float, Meta(ge=0.0)] | None = 0.1
    max_bullet_lines: Share | None = 0.9
    max_ellipsis_lines: Share | None = 0.3
    min_alphabetic: Share | None = 0.8
    min_stop_words: Bound = 2
    stop_words: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")

    def check(self) -> None:
        """Raise ValueError where no text passes."""
        if (self.min_words or 0) > (self.max_words or float("inf")):
            raise ValueError(f"min_words: {self.min_words} is above max_words = {self.max_words}; no text passes")
        if (self.min_mean_word or 0) > (self.max_mean_word or float("inf")):
            raise ValueError(f"min_mean_word: {self.min_mean_word} is above max_mean_word = {self.max_mean_word}")
        if (self.min_stop_words or 0) > len(set(self.stop_words)):
            raise ValueError(f"min_stop_words: {self.min_stop_words} of {len(set(self.stop_words))} stop_words")

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


def gopher_quality(record: Record, context: StageContext[GopherQualitySettings]) -> Result:
    """The record, or a drop with the first rule that it breaks, as `too_few_words` or `few_stop_words`."""
    reason = fault(text_of(record, context.settings.column, context.stage), context.settings)
    return Drop(reason) if reason else record


def fault(text: str, settings: GopherQualitySettings) -> str | None:
    """The first rule that the text breaks, or None."""
    found = words(text)
    return (
        _size(found, settings)
        or _symbols(text, len(found), settings)
        or _lines(lines_of(text), settings)
        or _kinds(text.split(), found, settings)
    )


def _size(found: Sequence[str], settings: GopherQualitySettings) -> str | None:
    match outside(len(found), settings.min_words, settings.max_words):
        case "too_short":
            return "too_few_words"
        case "too_long":
            return "too_many_words"
    mean = share(sum(map(len, found)), len(found))
    if settings.min_mean_word is not None and mean < settings.min_mean_word:
        return "short_words"
    return "long_words" if settings.max_mean_word is not None and mean > settings.max_mean_word else None


def _symbols(text: str, count: int, settings: GopherQualitySettings) -> str | None:
    most = settings.max_symbols
    if most is None:
        return None
    allowed = most * max(1, count)
    if text.count("#") > allowed:
        return "hash_signs"
    return "ellipses" if sum(map(text.count, _ELLIPSES)) > allowed else None


def _lines(lines: Sequence[str], settings: GopherQualitySettings) -> str | None:
    bullets = share(sum(line.startswith(_BULLETS) for line in lines), len(lines))
    if settings.max_bullet_lines is not None and bullets > settings.max_bullet_lines:
        return "bullet_lines"
    ended = share(sum(line.endswith(_ELLIPSES) for line in lines), len(lines))
    return "ellipsis_lines" if settings.max_ellipsis_lines is not None and ended > settings.max_ellipsis_lines else None


def _kinds(spaced: Sequence[str], found: Sequence[str], settings: GopherQualitySettings) -> str | None:
    least = settings.min_alphabetic
    if least is not None and sum(any(map(str.isalpha, word)) for word in spaced) < least * len(spaced):
        return "non_alphabetic"
    wanted = settings.min_stop_words
    return "few_stop_words" if wanted and len({*settings.stop_words}.intersection(found)) < wanted else None
