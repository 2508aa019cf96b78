"""Keeps texts that are unlike all earlier ones, by ROUGE-L."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
from streamgen.quality.rouge import RougePool
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of


class NoveltySettings(Settings, frozen=True):
    """A text passes while its ROUGE-L F-measure with every text of the pool is below `threshold`.

    `pool` keeps the newest texts only. With `scored`, what passes carries its greatest ROUGE-L as a score under the
    stage's name; that takes several times as long, since texts far below the threshold must be compared too.
    """

    column: str
    threshold: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.7
    pool: Annotated[int, Meta(ge=1)] | None = None
    scored: bool = False

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Novelty:
    """Drops a record as `not_novel` when its text is too much like an earlier one (Self-Instruct, arXiv 2212.10560).

    A text without words is always novel: it is a matter for the stages `length` and `exact_duplicate`.
    """

    def __init__(self, settings: NoveltySettings) -> None:
        self.keep: Keep = forget
        self._most = settings.pool
        self._pool = RougePool()
        self._own: dict[str, _Kept] = {}  # of records that come again

    def __call__(self, records: Sequence[Record], context: StageContext[NoveltySettings]) -> Sequence[Result]:
        """Each record that is novel and a drop for each that is not, also within the batch."""
        texts = [text_of(record, context.settings.column, context.stage) for record in records]
        return [self._judged(record, text, context) for record, text in zip(records, texts, strict=True)]

    def recall(self, memories: Sequence[Memory]) -> None:
        """Know the texts of earlier sessions, or the newest of them."""
        for memory in memories:
            kept = _unpacked(memory.body)
            self._pool.add(kept.text, self._most)
            if memory.record is not None:
                self._own[memory.record] = kept

    def __repr__(self) -> str:
        return f"<Novelty against {len(self._pool)} texts>"

    def _judged(self, record: Record, text: str, context: StageContext[NoveltySettings]) -> Result:
        settings = context.settings
        own = self._own.get(record.id)
        if own is not None and own.text == text:
            return record.scored(context.stage, own.greatest) if settings.scored else record
        greatest = self._pool.greatest(text, at_least=0.0 if settings.scored else settings.threshold)
        if greatest >= settings.threshold:
            return Drop("not_novel")
        self._pool.add(text, settings.pool)
        self.keep(record.id, _packed(text, greatest))
        return record.scored(context.stage, greatest) if settings.scored else record


class _Kept(NamedTuple):
    text: str
    greatest: float


def _packed(text: str, greatest: float) -> bytes:
    return struct.pack("<d", greatest) + text.encode("utf-8", "surrogatepass")


def _unpacked(body: bytes) -> _Kept:
    return _Kept(body[8:].decode("utf-8", "surrogatepass"), struct.unpack_from("<d", body)[0])
