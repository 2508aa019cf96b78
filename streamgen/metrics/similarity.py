"""How near the texts of a column are to those of a reference set, and how many are copies of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta

from streamgen.control.hashing import Features, Floats, vectors
from streamgen.control.vendi import product
from streamgen.metrics.distinct_n import KMinimumValues
from streamgen.metrics.reference import reference_texts
from streamgen.metrics.spread import Spread, State
from streamgen.metrics.texts import hashes_of, texts_of
from streamgen.quality.ngrams import hashed, ngrams
from streamgen.record import Record, Value
from streamgen.settings import FilePath, Settings
from streamgen.text import words

_CHUNK = 64  # texts whose similarities are calculated at once

_State: TypeAlias = tuple[int, State, tuple[int, bytes]]

_decode = msgspec.msgpack.Decoder(_State).decode


class SimilaritySettings(Settings, frozen=True, kw_only=True):
    """The column; the file `reference`, of which `most` texts are read, and its column (the same where not given).

    Texts are compared by hashed n-grams of `characters` or `words` in so many `dimensions`; from `near` on one counts
    as near. The sets are compared by their n-grams of `shingle` words, of which the `kept` smallest hashes are known.
    """

    column: str
    reference: FilePath
    reference_column: str | None = None
    most: Annotated[int, Meta(ge=1, le=100_000)] = 2000
    features: Features = "characters"
    dimensions: Annotated[int, Meta(ge=16, le=1024)] = 256
    near: Annotated[float, Meta(ge=0, le=1)] = 0.9
    shingle: Annotated[int, Meta(ge=1, le=20)] = 3
    kept: Annotated[int, Meta(ge=16, le=1 << 24)] = 1 << 14

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Similarity:
    """`nearest`: the spread of each text's greatest cosine to a reference text; `near`: the share that is near one.

    `resemblance` is the Jaccard similarity of the two sets of n-grams, estimated by MinHash (Broder 1997, bottom-k):
    its standard error is at most 0.5 / sqrt(kept), 0.4 % by default; exact while both have fewer distinct n-grams.
    """

    def __init__(self, settings: SimilaritySettings) -> None:
        self._settings = settings
        column = settings.reference_column or settings.column
        texts = reference_texts(settings.reference, column, settings.most)
        self._references = vectors(texts, settings.dimensions, settings.features).T
        self._reference_shingles = KMinimumValues(settings.kept)
        self._reference_shingles.update(ngrams(hashed([words(text) for text in texts]), settings.shingle).hashes)
        self._shingles = KMinimumValues(settings.kept)
        self._nearest = Spread()
        self._near = 0

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one without a text is near to none."""
        settings = self._settings
        self._shingles.update(ngrams(hashes_of(records, settings.column), settings.shingle).hashes)
        texts = [text for text in texts_of(records, settings.column) if text.strip()]
        for start in range(0, len(texts), _CHUNK):
            own = vectors(texts[start : start + _CHUNK], settings.dimensions, settings.features)
            self._count(product(own, self._references).max(axis=1))

    def merge(self, other: Similarity) -> None:
        """Take in another measurement."""
        self._near += other._near
        self._nearest.merge(other._nearest)
        self._shingles.merge(other._shingles)

    def snapshot(self) -> bytes:
        """All that it knows but the reference."""
        return msgspec.msgpack.encode((self._near, self._nearest.state(), self._shingles.state()))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._near, nearest, shingles = _decode(snapshot)
        self._nearest.load(nearest)
        self._shingles.load(shingles)

    def result(self) -> dict[str, Value]:
        """The measures so far; None where no record has a text."""
        count = self._nearest.count
        return {
            "nearest": self._nearest.result(),
            "near": self._near / count if count else None,
            "resemblance": self._shingles.resemblance(self._reference_shingles),
        }

    def _count(self, greatest: Floats) -> None:
        rounded = np.round(greatest, 9)  # what the last bits are depends on the size of the batch
        self._near += int((rounded >= self._settings.near).sum())
        self._nearest.update(rounded.tolist())
