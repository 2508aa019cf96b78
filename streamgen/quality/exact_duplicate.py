"""Keeps the first of records that say the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of

_PUNCTUATION = re.compile(r"[^\w\s]|_")


class ExactDuplicateSettings(Settings, frozen=True):
    """`ignore` says what makes no difference; compatible Unicode forms (NFKC) never do."""

    columns: Annotated[tuple[str, ...], Meta(min_length=1)]
    ignore: tuple[Literal["case", "space", "punctuation"], ...] = ("case", "space")

    def reads(self) -> frozenset[str]:
        """The columns."""
        return frozenset(self.columns)


class ExactDuplicate:
    """Drops a record as `duplicate` when an earlier one has the same text in all the columns.

    It remembers a 16-byte digest of each record that passed (about 100 bytes of memory), not the text. Two different
    texts share a digest with a probability of 2^-128 a pair.
    """

    def __init__(self, settings: ExactDuplicateSettings) -> None:
        self._settings = settings
        self._seen: set[bytes] = set()

    def __call__(self, records: Sequence[Record], context: StageContext[ExactDuplicateSettings]) -> Sequence[Result]:
        """Each record that is new, and a drop for each that is not, also within the batch."""
        digests = [digest(record, context.settings, context.stage) for record in records]
        return [
            record if self._is_new(seen) else Drop("duplicate") for record, seen in zip(records, digests, strict=True)
        ]

    def restore(self, records: Sequence[Record]) -> None:
        """Remember records that were accepted before; one whose columns a later stage removed cannot be."""
        columns = self._settings.columns
        whole = (record for record in records if record.columns.keys() >= set(columns))
        self._seen.update(digest(record, self._settings, "exact_duplicate") for record in whole)

    def __repr__(self) -> str:
        return f"<ExactDuplicate of {len(self._seen)} records>"

    def _is_new(self, seen: bytes) -> bool:
        known = len(self._seen)
        self._seen.add(seen)
        return len(self._seen) > known


def digest(record: Record, settings: ExactDuplicateSettings, stage: str) -> bytes:
    """16 bytes that two records share when they say the same."""
    texts = [normalised(text_of(record, column, stage), settings.ignore) for column in settings.columns]
    # Each text behind its length, so that ("ab", "c") and ("a", "bc") differ.
    joined = "".join(f"{len(text)}:{text}" for text in texts)
    return blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def normalised(text: str, ignore: Sequence[str]) -> str:
    """The text without what is to be ignored.

    >>> normalised("  Hello,   World ", ("case", "space", "punctuation"))
    'hello world'

    A text of nothing but punctuation keeps it: ":-)" and "?!" stay different.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if "case" in ignore:
        text = text.casefold()
    if "punctuation" in ignore:
        bare = _PUNCTUATION.sub("", text)
        text = bare if bare.strip() else text
    return " ".join(text.split()) if "space" in ignore else text
