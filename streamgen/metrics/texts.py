"""What several metrics need of the same batch, made once: its texts, their words, the hashes of these, a key each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from operator import is_
from typing import Any, TypeVar

from streamgen.quality.ngrams import Documents, hashed
from streamgen.record import Record, size_bytes
from streamgen.text import words

T = TypeVar("T")

_MOST_BYTES = 1 << 22  # of a batch that is kept until the next one


class _Batch:
    """A batch, and what was made of it by name. It is known again by its very records, as lists may be used anew."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = tuple(records)
        self.made: dict[tuple[str, str], Any] = {}

    def holds(self, records: Sequence[Record]) -> bool:
        """Whether these are the records, one by one."""
        return len(records) == len(self.records) and all(map(is_, records, self.records))


_last = _Batch(())


def texts_of(records: Sequence[Record], column: str) -> list[str]:
    """The text of each record; "" where it has none."""
    return _once("texts", records, column, lambda: [record.text(column) for record in records])


def words_of(records: Sequence[Record], column: str) -> list[list[str]]:
    """The words of each record's text."""
    return _once("words", records, column, lambda: [words(text) for text in texts_of(records, column)])


def hashes_of(records: Sequence[Record], column: str) -> Documents:
    """The words of each record's text as hashes."""
    return _once("hashes", records, column, lambda: hashed(words_of(records, column)))


def keys_of(records: Sequence[Record], column: str) -> list[int]:
    """64 bits of each record, of its id and text: as good as random, and the same in every process."""
    return _once("keys", records, column, lambda: list(map(_key, records, texts_of(records, column))))


def _once(what: str, records: Sequence[Record], column: str, make: Callable[[], T]) -> T:
    """What `make` gives, or gave for the same records; nobody may change it."""
    global _last
    batch = _last
    if not batch.holds(records):
        batch = _Batch(records)
        if size_bytes(records) < _MOST_BYTES:
            _last = batch
    if (what, column) not in batch.made:
        batch.made[what, column] = make()
    found: T = batch.made[what, column]
    return found


def _key(record: Record, text: str) -> int:
    digest = blake2b(f"{record.id}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
