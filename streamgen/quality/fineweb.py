"""Keeps pages that are no lists, menus or repeats: the rules of FineWeb (Penedo et al. 2024, arXiv 2406.17557, 3.5)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.lines import TERMINAL, lines_of, repeated, share
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of, words

Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Rule: TypeAlias = Literal["terminal", "short", "repeated", "breaks"]


class FineWebSettings(Settings, frozen=True, kw_only=True):
    """The paper's three rules, and the one on line breaks from its code; `rules` names those that count.

    A text is dropped where no more than `min_terminal` of its lines end as sentences do, where at least
    `max_repeated` of its characters are in lines that repeat an earlier one, where at least `max_short` of its lines
    have no more than `short` characters, or where there are more than `max_breaks` line breaks a word.
    """

    column: str
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1)] = get_args(Rule)
    min_terminal: Share = 0.12
    max_short: Share = 0.67
    short: Annotated[int, Meta(ge=0)] = 30
    max_repeated: Share = 0.1
    max_breaks: Annotated[float, Meta(ge=0.0)] = 0.3

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


def fineweb(record: Record, context: StageContext[FineWebSettings]) -> Result:
    """The record, or a drop as `no_terminal_punctuation`, `short_lines`, `repeated_lines` or `line_breaks`."""
    reason = fault(text_of(record, context.settings.column, context.stage), context.settings)
    return Drop(reason) if reason else record


def fault(text: str, settings: FineWebSettings) -> str | None:
    """The first rule that the text breaks, or None."""
    lines, rules = lines_of(text), settings.rules
    ended = share(sum(line.endswith(TERMINAL) for line in lines), len(lines))
    if "terminal" in rules and ended <= settings.min_terminal:
        return "no_terminal_punctuation"
    short = share(sum(len(line) <= settings.short for line in lines), len(lines))
    if "short" in rules and lines and short >= settings.max_short:
        return "short_lines"
    if "repeated" in rules and (again := repeated(lines).characters) and again >= settings.max_repeated:
        return "repeated_lines"
    is_list = "breaks" in rules and text.strip().count("\n") > settings.max_breaks * len(words(text))
    return "line_breaks" if is_list else None
