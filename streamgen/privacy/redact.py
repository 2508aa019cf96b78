"""Masks personal data that has a form, or drops the records that hold it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.privacy.detect import KINDS, Kind, detect
from streamgen.record import Record, Value
from streamgen.settings import Settings
from streamgen.text import value_of


class RedactSettings(Settings, frozen=True):
    """Which columns (all by default), which kinds of data, and what is done: "mask" or "drop" the record."""

    columns: tuple[str, ...] = ()
    types: Annotated[tuple[Kind, ...], Meta(min_length=1)] = KINDS
    action: Literal["mask", "drop"] = "mask"

    def reads(self) -> frozenset[str]:
        """The columns, where they are named."""
        return frozenset(self.columns)


def redact(record: Record, context: StageContext[RedactSettings]) -> Result:
    """The record with `[EMAIL]`, `[PHONE]`, `[CARD]`, `[IBAN]` or `[IP]` in the place of personal data, or a drop.

    Texts within lists and objects (`messages`) are masked too. How many of each kind were found goes to the record's
    scores as `stage.kind`; the values themselves go nowhere. The drop's reason is `personal_data`.
    """
    settings = context.settings
    found: Counter[Kind] = Counter()
    masked = {
        column: _masked(value_of(record, column, context.stage), settings.types, found)
        for column in settings.columns or record.columns
    }
    if not found:
        return record
    if settings.action == "drop":
        return Drop("personal_data")
    scores = {f"{context.stage}.{kind}": float(count) for kind, count in found.items()}
    return record.with_columns(masked).with_meta(scores={**record.meta.scores, **scores})


def mask(text: str, kinds: tuple[Kind, ...] = KINDS) -> tuple[str, Counter[Kind]]:
    """The text with a placeholder for each span of these kinds, and how many of each there were.

    >>> mask("Mail jo@example.org")
    ('Mail [EMAIL]', Counter({'email': 1}))
    """
    spans = detect(text, kinds)
    pieces, end = [], 0
    for span in spans:
        pieces += [text[end : span.start], f"[{span.kind.upper()}]"]
        end = span.end
    return "".join([*pieces, text[end:]]), Counter(span.kind for span in spans)


def _masked(value: Value, kinds: tuple[Kind, ...], found: Counter[Kind]) -> Value:
    if isinstance(value, str):
        text, counts = mask(value, kinds)
        found.update(counts)
        return text
    if isinstance(value, dict):
        return {key: _masked(inner, kinds, found) for key, inner in value.items()}
    return [_masked(inner, kinds, found) for inner in value] if isinstance(value, list | tuple) else value
