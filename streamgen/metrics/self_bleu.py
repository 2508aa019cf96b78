"""How like the others each text of a column is, by BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.metrics.bleu import self_bleu
from streamgen.metrics.sample import Sample, State
from streamgen.metrics.texts import keys_of, texts_of
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(State).decode


class SelfBleuSettings(Settings, frozen=True):
    """The column, and how many texts are compared. The score grows with their number: compare like with like."""

    column: str
    texts: Annotated[int, Meta(ge=2, le=10_000)] = 200

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class SelfBleu:
    """`self_bleu`: the mean BLEU of each sampled text with all other ones as references; 100: all alike.

    Zhu et al. 2018 (Texygen, arXiv 1802.01886); equal to the mean of sacrebleu's `sentence_bleu`. The sample is that of
    the smallest hashes, whatever order the records came in.
    """

    is_costly = True

    def __init__(self, settings: SelfBleuSettings) -> None:
        self._column = settings.column
        self._sample = Sample(settings.texts)

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one without a text is not compared."""
        self._sample.update(keys_of(records, self._column), texts_of(records, self._column))

    def merge(self, other: SelfBleu) -> None:
        """Take in another measurement."""
        self._sample.merge(other._sample)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode(self._sample.state())

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._sample.load(_decode(snapshot))

    def result(self) -> dict[str, Value]:
        """The score so far, None of fewer than two texts, and of how many it is."""
        texts = self._sample.texts()
        scores = self_bleu(texts) if len(texts) > 1 else []
        return {"self_bleu": fsum(scores) / len(scores) if scores else None, "texts": len(texts)}
