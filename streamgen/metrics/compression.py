"""How far the texts of a column can be compressed: what is said again and again costs little."""

from __future__ import annotations

import bz2
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streamgen.files import zstd_compress
from streamgen.metrics.sample import Sample, State
from streamgen.metrics.texts import keys_of, texts_of
from streamgen.record import Record, Value
from streamgen.settings import Settings

_decode = msgspec.msgpack.Decoder(State).decode


class CompressionSettings(Settings, frozen=True):
    """The column, how many `characters` of its texts are sampled, and the `codec`.

    Its window must hold the sample, or repeats far apart are missed: bzip2 sorts 900 KB at a time, zlib sees 32.
    """

    column: str
    characters: Annotated[int, Meta(ge=1000, le=10_000_000)] = 250_000
    codec: Literal["bz2", "zstd"] = "bz2"

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Compression:
    """`ratio`: bytes of a sample of texts by its compressed bytes (Shaib et al. 2024, arXiv 2403.00553, section 2).

    The ratio grows with what is compressed, so it is that of a sample of fixed size: the texts of the smallest hashes,
    of whatever order the records came in. Ratios can be compared where `characters` are the same.
    """

    is_costly = True

    def __init__(self, settings: CompressionSettings) -> None:
        self._settings = settings
        self._sample = Sample(settings.characters, settings.characters)

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one without a text adds nothing."""
        column = self._settings.column
        self._sample.update(keys_of(records, column), texts_of(records, column))

    def merge(self, other: Compression) -> None:
        """Take in another measurement."""
        self._sample.merge(other._sample)

    def snapshot(self) -> bytes:
        """All that it knows."""
        return msgspec.msgpack.encode(self._sample.state())

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._sample.load(_decode(snapshot))

    def result(self) -> dict[str, Value]:
        """The ratio so far, None where there is no text, and of how many characters it is."""
        text = "\n".join(self._sample.texts())[: self._settings.characters]
        raw = text.encode("utf-8", "surrogatepass")
        compress = bz2.compress if self._settings.codec == "bz2" else zstd_compress
        return {"ratio": len(raw) / len(compress(raw)) if raw else None, "characters": len(text)}
