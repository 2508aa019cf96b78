"""Masks, replaces or hashes personal data that has a form, or drops the records that hold it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.llm.spec import resolve_key
from streamgen.privacy.detect import DEFAULT_KINDS, Kind, Span, detect
from streamgen.privacy.national import require_stdnum
from streamgen.privacy.replace import Replacement, hashed, invented, placeholder, require_faker
from streamgen.record import Record, Value
from streamgen.settings import Settings
from streamgen.text import value_of


class RedactSettings(Settings, frozen=True):
    """Which columns (all by default), which kinds of data, and what is done with it.

    `action` is "mask" (`[EMAIL]`), "hash" (`[EMAIL:...]`, by HMAC with `key`, which names an environment variable as
    "env:NAME"), "replace" (an invented value by Faker in `locale`, the same for the same value within a "record" or
    within the "run") or "drop" the record. With a `key`, what is invented depends on it too.
    """

    columns: tuple[str, ...] = ()
    types: Annotated[tuple[Kind, ...], Meta(min_length=1)] = DEFAULT_KINDS
    action: Literal["mask", "replace", "hash", "drop"] = "mask"
    key: Annotated[str, Meta(pattern="^env:[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    consistent: Literal["record", "run"] = "record"
    locale: str = "en_US"

    def check(self) -> None:
        """A hash needs a key; types and actions of extras need those."""
        if self.action == "hash" and self.key is None:
            raise ValueError('`key` must name an environment variable, as "env:PII_KEY", for the action "hash"')
        if "national_id" in self.types:
            require_stdnum()
        if self.action == "replace":
            require_faker()
        resolve_key(self.key, "key")

    def reads(self) -> frozenset[str]:
        """The columns, where they are named."""
        return frozenset(self.columns)


def redact(record: Record, context: StageContext[RedactSettings]) -> Result:
    """The record with something else in the place of personal data, or a drop.

    Texts within lists and objects (`messages`) are redacted too. How many of each kind were found goes to the record's
    scores as `stage.kind`; the values themselves go nowhere. The drop's reason is `personal_data`.
    """
    settings = context.settings
    found: Counter[Kind] = Counter()
    replacement = _replacement(settings, record.id)
    redacted = {
        column: _redacted(value_of(record, column, context.stage), settings.types, replacement, found)
        for column in settings.columns or record.columns
    }
    if not found:
        return record
    if settings.action == "drop":
        return Drop("personal_data")
    scores = {f"{context.stage}.{kind}": float(count) for kind, count in found.items()}
    return record.with_columns(redacted).with_meta(scores={**record.meta.scores, **scores})


def mask(text: str, kinds: tuple[Kind, ...] = DEFAULT_KINDS) -> tuple[str, Counter[Kind]]:
    """The text with a placeholder for each span of these kinds, and how many of each there were.

    >>> mask("Mail jo@example.org")
    ('Mail [EMAIL]', Counter({'email': 1}))
    """
    found: Counter[Kind] = Counter()
    return _without(text, kinds, placeholder, found), found


def _replacement(settings: RedactSettings, record_id: str) -> Replacement:
    key = (resolve_key(settings.key, "key") or "").encode()
    if settings.action == "hash":
        return hashed(key)
    if settings.action == "replace":
        return invented(record_id if settings.consistent == "record" else "", settings.locale, key)
    return placeholder


def _without(text: str, kinds: tuple[Kind, ...], replacement: Replacement, found: Counter[Kind]) -> str:
    """Where the text gets shorter, a word can come near enough to a number to make it a phone: so it is read again.

    Placeholders hold no data, which ends this; an invented value is data, so that it is read once.
    """
    while spans := detect(text, kinds):
        found.update(span.kind for span in spans)
        text, before = _replaced(text, spans, replacement), text
        if replacement is not placeholder or text == before:
            break
    return text


def _replaced(text: str, spans: list[Span], replacement: Replacement) -> str:
    pieces, end = [], 0
    for span in spans:
        pieces += [text[end : span.start], replacement(span.kind, text[span.start : span.end])]
        end = span.end
    return "".join([*pieces, text[end:]])


def _redacted(value: Value, kinds: tuple[Kind, ...], replacement: Replacement, found: Counter[Kind]) -> Value:
    if isinstance(value, str):
        return _without(value, kinds, replacement, found)
    if isinstance(value, dict):
        return {key: _redacted(inner, kinds, replacement, found) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner, kinds, replacement, found) for inner in value]
    return value
