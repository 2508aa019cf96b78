"""Keeps the first of records that say the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
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
        self.keep: Keep = forget
        self._seen: set[bytes] = set()
        self._own: dict[str, bytes] = {}  # of records that come again

    def __call__(self, records: Sequence[Record], context: StageContext[ExactDuplicateSettings]) -> Sequence[Result]:
        """Each record that is new, and a drop for each that is not, also within the batch."""
        digests = [digest(record, context.settings, context.stage) for record in records]
        return [
            record if self._is_new(record.id, seen) else Drop("duplicate")
            for record, seen in zip(records, digests, strict=True)
        ]

    def recall(self, memories: Sequence[Memory]) -> None:
        """Know the digests of earlier sessions."""
        self._seen.update(memory.body for memory in memories)
        self._own.update((memory.record, memory.body) for memory in memories if memory.record is not None)

    def __repr__(self) -> str:
        return f"<ExactDuplicate of {len(self._seen)} records>"

    def _is_new(self, id_: str, seen: bytes) -> bool:
        known = len(self._seen)
        self._seen.add(seen)
        if len(self._seen) > known:
            self.keep(id_, seen)
            return True
        return self._own.get(id_) == seen


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
