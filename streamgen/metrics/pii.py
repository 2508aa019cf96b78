"""How many of the texts of a column hold personal data, and of which kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from streamgen.metrics.texts import texts_of
from streamgen.privacy.detect import detect
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(tuple[int, int, dict[str, int], dict[str, int]]).decode


class PiiSettings(Settings, frozen=True):
    """The column that is looked through."""

    column: str

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Pii:
    """`rate`: the share of records with personal data that has a form; `found` and `records_with` by its kind.

    Only counts are kept, never what was found. Names and addresses without a form are not seen.
    """

    def __init__(self, settings: PiiSettings) -> None:
        self._column = settings.column
        self._records = self._with_any = 0
        self._found: Counter[str] = Counter()
        self._with: Counter[str] = Counter()

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records."""
        self._records += len(records)
        for text in texts_of(records, self._column):
            if kinds := kinds_in(text):
                self._with_any += 1
                self._found.update(kinds)
                self._with.update(set(kinds))

    def merge(self, other: Pii) -> None:
        """Take in another measurement."""
        self._records += other._records
        self._with_any += other._with_any
        self._found.update(other._found)
        self._with.update(other._with)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode((self._records, self._with_any, self._found, self._with))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._records, self._with_any, found, with_ = _decode(snapshot)
        self._found, self._with = Counter(found), Counter(with_)

    def result(self) -> dict[str, Value]:
        """The counts so far; the rate is None of nothing."""
        return {
            "rate": self._with_any / self._records if self._records else None,
            "records": self._with_any,
            "found": dict(sorted(self._found.items())),
            "records_with": dict(sorted(self._with.items())),
        }


def kinds_in(text: str) -> list[str]:
    """The kind of each piece of personal data in a text.

    >>> kinds_in("Mail jo@example.org or call +44 7700 900123.")
    ['email', 'phone']
    """
    return [span.kind for span in detect(text)]
