"""Keeps the first of records whose texts are nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.minhash import MinHashIndex, Sketch
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of

_BATCH = 64  # texts that are hashed together


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
        self._settings = settings
        self._index = MinHashIndex(settings.shingle)

    def __call__(self, records: Sequence[Record], context: StageContext[NearDuplicateSettings]) -> Sequence[Result]:
        """Each record that is new, scored, and a drop for each that is not, also within the batch."""
        settings = context.settings
        if settings.shingle != self._index.shingle:
            raise ValueError(f"stage {context.stage!r}: `shingle` cannot change in a run; take it out of the space")
        sketches = self._index.sketch([text_of(record, settings.column, context.stage) for record in records])
        return [self._judged(record, sketch, context) for record, sketch in zip(records, sketches, strict=True)]

    def restore(self, records: Sequence[Record]) -> None:
        """Remember records that were accepted before; one whose column a later stage removed cannot be."""
        column = self._settings.column
        texts = [record.text(column) for record in records if column in record.columns]
        for start in range(0, len(texts), _BATCH):
            for sketch in self._index.sketch(texts[start : start + _BATCH]):
                self._index.add(sketch)

    def __repr__(self) -> str:
        return f"<NearDuplicate of {len(self._index)} records>"

    def _judged(self, record: Record, sketch: Sketch, context: StageContext[NearDuplicateSettings]) -> Result:
        similarity = self._index.nearest(sketch)
        if similarity >= context.settings.threshold:
            return Drop("near_duplicate")
        self._index.add(sketch)
        return record.scored(context.stage, similarity)
