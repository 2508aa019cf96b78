"""Keeps the first of records whose texts are nearly the same."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
from streamgen.quality.minhash import BANDS, MinHashIndex, Sketch
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of


class NearDuplicateSettings(Settings, frozen=True):
    """`threshold` is the Jaccard similarity, of runs of `shingle` words, from which on two texts are the same.

    Below .7 banding misses pairs (see `minhash`). `shingle` cannot be tuned: the memory of the stage is made of them.
    """

    column: str
    threshold: Annotated[float, Meta(ge=0.5, le=1.0)] = 0.8
    shingle: Annotated[int, Meta(ge=1, le=10)] = 3

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class NearDuplicate:
    """Drops a record as `near_duplicate` when its text is nearly that of an earlier one.

    What passes carries the similarity to its nearest earlier text as a score, under the stage's name.
    """

    def __init__(self, settings: NearDuplicateSettings) -> None:
        self.keep: Keep = forget
        self._index = MinHashIndex(settings.shingle)
        self._own: dict[str, tuple[Sketch, float]] = {}  # of records that come again, with their scores

    def __call__(self, records: Sequence[Record], context: StageContext[NearDuplicateSettings]) -> Sequence[Result]:
        """Each record that is new, scored, and a drop for each that is not, also within the batch."""
        settings = context.settings
        if settings.shingle != self._index.shingle:
            raise ValueError(f"stage {context.stage!r}: `shingle` cannot change in a run; take it out of the space")
        sketches = self._index.sketch([text_of(record, settings.column, context.stage) for record in records])
        return [self._judged(record, sketch, context) for record, sketch in zip(records, sketches, strict=True)]

    def recall(self, memories: Sequence[Memory]) -> None:
        """Know the texts of earlier sessions."""
        for memory in memories:
            sketch, similarity = _unpacked(memory.body)
            self._index.add(sketch)
            if memory.record is not None:
                self._own[memory.record] = sketch, similarity

    def __repr__(self) -> str:
        return f"<NearDuplicate of {len(self._index)} records>"

    def _judged(self, record: Record, sketch: Sketch, context: StageContext[NearDuplicateSettings]) -> Result:
        own, similarity = self._own.get(record.id, (None, 0.0))
        if own is not None and np.array_equal(own.shingles, sketch.shingles):
            return record.scored(context.stage, similarity)
        similarity = self._index.nearest(sketch)
        if similarity >= context.settings.threshold:
            return Drop("near_duplicate")
        self._index.add(sketch)
        self.keep(record.id, _packed(sketch, similarity))
        return record.scored(context.stage, similarity)


def _packed(sketch: Sketch, similarity: float) -> bytes:
    """The similarity, the keys of the bands, the shingles: 8 bytes each."""
    return struct.pack(f"<d{BANDS}Q", similarity, *sketch.keys) + sketch.shingles.astype("<u8").tobytes()


def _unpacked(body: bytes) -> tuple[Sketch, float]:
    similarity, *keys = struct.unpack_from(f"<d{BANDS}Q", body)
    return Sketch(np.frombuffer(body, "<u8", offset=8 + 8 * BANDS).astype(np.uint64), keys), similarity
