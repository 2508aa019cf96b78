"""Keeps texts that are unlike all earlier ones, by ROUGE-L."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
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
        self._settings = settings
        self._pool = RougePool()

    def __call__(self, records: Sequence[Record], context: StageContext[NoveltySettings]) -> Sequence[Result]:
        """Each record that is novel and a drop for each that is not, also within the batch."""
        texts = [text_of(record, context.settings.column, context.stage) for record in records]
        return [self._judged(record, text, context) for record, text in zip(records, texts, strict=True)]

    def restore(self, records: Sequence[Record]) -> None:
        """Take into the pool records that were accepted before; one whose column a later stage removed cannot be."""
        column = self._settings.column
        for record in records:
            if column in record.columns:
                self._pool.add(record.text(column), self._settings.pool)

    def __repr__(self) -> str:
        return f"<Novelty against {len(self._pool)} texts>"

    def _judged(self, record: Record, text: str, context: StageContext[NoveltySettings]) -> Result:
        settings = context.settings
        greatest = self._pool.greatest(text, at_least=0.0 if settings.scored else settings.threshold)
        if greatest >= settings.threshold:
            return Drop("not_novel")
        self._pool.add(text, settings.pool)
        return record.scored(context.stage, greatest) if settings.scored else record
