"""How many of the records say what another one says too."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from streamgen.metrics.distinct_n import KMinimumValues
from streamgen.metrics.texts import texts_of
from streamgen.quality.exact_duplicate import normalised
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(tuple[int, bytes]).decode


class DuplicatesSettings(Settings, frozen=True):
    """The column, and how many hashes of texts are `kept` (8 bytes each)."""

    column: str
    kept: Annotated[int, Meta(ge=16, le=1 << 24)] = 1 << 16

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Duplicates:
    """`distinct` texts and their `share`; case, white space and compatible Unicode forms make no difference.

    Exact up to `kept` distinct texts, from then on estimated with a relative standard error of 1 / sqrt(kept - 2):
    0.4 % by default. A text that is empty or missing is one like any other.
    """

    def __init__(self, settings: DuplicatesSettings) -> None:
        self._column = settings.column
        self._sketch = KMinimumValues(settings.kept)

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records."""
        digests = [_digest(text) for text in texts_of(records, self._column)]
        self._sketch.update(np.frombuffer(b"".join(digests), "<u8").astype(np.uint64))

    def merge(self, other: Duplicates) -> None:
        """Take in another measurement."""
        self._sketch.merge(other._sketch)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode(self._sketch.state())

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._sketch.load(_decode(snapshot))

    def result(self) -> dict[str, Value]:
        """The count so far; the share is None of nothing."""
        sketch = self._sketch
        return {"records": sketch.total, "distinct": round(sketch.distinct()), "share": sketch.share()}


def _digest(text: str) -> bytes:
    return blake2b(normalised(text, ("case", "space")).encode("utf-8", "surrogatepass"), digest_size=8).digest()
