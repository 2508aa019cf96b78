"""Keeps the first of records whose texts mean the same, by the vectors that an endpoint makes of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from streamgen.context import Context
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of

_GROWN = 1024  # rows that there is room for at first


class SemanticDuplicateSettings(Settings, frozen=True, kw_only=True):
    """The `model` makes the vectors; from a cosine of `threshold` on two texts mean the same.

    What cosine that is depends on the model: look at the scores before you rely on it. A text is cut at
    `max_characters`, the models' contexts being short. `pool` keeps the newest texts only; each is compared with all
    of them (10,000 of 384 numbers: 1 ms).
    """

    model: str
    column: str
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.95
    max_characters: Annotated[int, Meta(ge=1)] = 2000
    pool: Annotated[int, Meta(ge=1)] | None = None

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class SemanticDuplicate:
    """Drops a record as `semantic_duplicate` when its text means what an earlier one does.

    What passes carries the greatest cosine to an earlier text as a score, under the stage's name. A text of nothing
    but white space has no meaning: it passes without a call.
    """

    def __init__(self, settings: SemanticDuplicateSettings) -> None:
        self.keep: Keep = forget
        self._most = settings.pool
        self._vectors = Vectors()
        self._own: dict[str, tuple[bytes, float]] = {}  # of records that come again, with their scores

    async def __call__(self, record: Record, context: Context[SemanticDuplicateSettings]) -> Result:
        """The record, scored, or a drop."""
        settings = context.settings
        text = text_of(record, settings.column, context.stage)[: settings.max_characters]
        if not text.strip():
            return record
        (vector,) = await context.embed(settings.model, [text])
        return self._judged(record, vector, context)

    def recall(self, memories: Sequence[Memory]) -> None:
        """Know the texts of earlier sessions, or the newest of them."""
        for memory in memories:
            (similarity,), vector = struct.unpack_from("<d", memory.body), memory.body[8:]
            self._vectors.add(np.frombuffer(vector, "<f4").astype(np.float32), self._most)
            if memory.record is not None:
                self._own[memory.record] = vector, similarity

    def __repr__(self) -> str:
        return f"<SemanticDuplicate of {len(self._vectors)} records>"

    def _judged(
        self, record: Record, vector: NDArray[np.float32], context: Context[SemanticDuplicateSettings]
    ) -> Result:
        """Without a wait between the look and the note: of two copies that are embedded at once one stays."""
        settings, body = context.settings, vector.astype("<f4").tobytes()
        own, similarity = self._own.get(record.id, (None, 0.0))
        if own == body:
            return record.scored(context.stage, similarity)
        similarity = self._vectors.nearest(vector)
        if similarity >= settings.threshold:
            return Drop("semantic_duplicate")
        self._vectors.add(vector, settings.pool)
        self.keep(record.id, struct.pack("<d", similarity) + body)
        return record.scored(context.stage, similarity)


class Vectors:
    """Vectors of unit length, in one array that grows; those that left the pool are freed when they are the most."""

    def __init__(self) -> None:
        self._rows: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._first = self._end = 0

    def __len__(self) -> int:
        return self._end - self._first

    def nearest(self, vector: NDArray[np.float32]) -> float:
        """The greatest cosine to any of them; 0.0 where there are none. Raises ValueError for one of another length."""
        if not len(self):
            return 0.0
        self._check(vector)
        return float(min(1.0, (self._rows[self._first : self._end] @ vector).max()))

    def add(self, vector: NDArray[np.float32], most: int | None = None) -> None:
        """Take a vector in; with `most`, the oldest ones beyond that number leave."""
        if len(self):
            self._check(vector)
        if self._end == len(self._rows):
            self._grow(len(vector))
        self._rows[self._end] = vector
        self._end += 1
        if most is not None:
            self._first = max(self._first, self._end - most)

    def _check(self, vector: NDArray[np.float32]) -> None:
        if len(vector) != self._rows.shape[1]:
            raise ValueError(f"a vector of {len(vector)} numbers among those of {self._rows.shape[1]}: another model?")

    def _grow(self, size: int) -> None:
        kept = self._rows[self._first : self._end]
        rows = np.zeros((max(_GROWN, 2 * len(kept)), size), np.float32)
        if len(kept):
            rows[: len(kept)] = kept
        self._rows, self._first, self._end = rows, 0, len(kept)
