"""How many different records the texts of a column amount to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.control.hashing import Features, vectors
from streamgen.control.vendi import SecondMoment
from streamgen.metrics.texts import texts_of
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(tuple[int, bytes, bytes]).decode


class DiversitySettings(Settings, frozen=True):
    """The column, what its texts are compared by (n-grams of `characters` or `words`), and the vectors' `dimensions`.

    Both scores are at most the number of dimensions; memory is the square of it, times 8 bytes.
    """

    column: str
    features: Features = "characters"
    dimensions: Annotated[int, Meta(ge=16, le=1024)] = 256

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Diversity:
    """`vendi` (Friedman and Dieng 2023, arXiv 2210.02410) and `rke` (Jalali et al. 2023, arXiv 2302.13793).

    Both are exponentials of an entropy of the eigenvalues of a kernel divided by n: Shannon's, and Renyi's of order 2,
    which counts modes. The kernel is the cosine of hashed n-grams, so the reward `diversity` counts alike, and a stream
    of any length needs no more than the sum of the vectors' outer products. `mean_similarity` is that of two records.
    """

    is_costly = True

    def __init__(self, settings: DiversitySettings) -> None:
        self._settings = settings
        self._moment = SecondMoment(settings.dimensions)

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one whose text has no n-gram is not counted."""
        settings = self._settings
        texts = texts_of(records, settings.column)
        if texts:
            self._moment.update(vectors(texts, settings.dimensions, settings.features))

    def merge(self, other: Diversity) -> None:
        """Take in another measurement."""
        self._moment.merge(other._moment)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode(self._moment.state())

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._moment.load(_decode(snapshot))

    def result(self) -> dict[str, Value]:
        """The scores so far; None where no record has a text."""
        moment = self._moment
        return {
            "vendi": moment.vendi() or None,
            "rke": moment.rke() or None,
            "mean_similarity": moment.mean_similarity() if moment.count > 1 else None,
            "records": moment.count,
        }
