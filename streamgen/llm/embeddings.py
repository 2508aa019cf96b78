"""Vectors of texts, as the endpoint gives them: read from the OpenAI dialect, and kept as bytes in the journal."""

from __future__ import annotations

import array
import sys
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from streamgen.llm.wire import Counts, Unreadable, usage_of
from streamgen.record import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST = 65_536  # numbers in a vector; no model makes longer ones


class _Vector(msgspec.Struct):
    embedding: list[float]
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Vector]
    usage: Counts | None = None
    model: str | None = None


class Vectors(NamedTuple):
    """A vector for each text, in order, with what they took and which model made them."""

    vectors: tuple[bytes, ...]
    usage: Usage
    model: str | None


_decode = msgspec.json.Decoder(_Answer, strict=False).decode


def read_vectors(data: bytes, count: int) -> Vectors:
    """The vectors in an answer to so many texts. Raises Unreadable, which says why, for what cannot be used."""
    try:
        answer = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from error
    places = [n if row.index is None else row.index for n, row in enumerate(answer.data)]
    if sorted(places) != list(range(count)):
        raise Unreadable(f"{count} texts were asked about, vectors came for {sorted(places)[:20]}")
    rows = [row.embedding for _, row in sorted(zip(places, answer.data, strict=True), key=lambda pair: pair[0])]
    sizes = {len(row) for row in rows}
    if len(sizes) != 1 or not 0 < max(sizes) <= _MOST:
        raise Unreadable(f"vectors of different lengths, or of none: {sorted(sizes)[:5]}")
    if not all(isfinite(sum(row)) for row in rows):
        raise Unreadable("numbers in a vector that are none")
    return Vectors(tuple(map(packed, rows)), usage_of(answer.usage), answer.model)


def packed(vector: Sequence[float]) -> bytes:
    """The vector as 32-bit numbers, the lowest byte first."""
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def unpacked(vector: bytes) -> NDArray[np.float32]:
    """The vector that `packed` wrote.

    >>> unpacked(packed([0.5, -2.0])).tolist()
    [0.5, -2.0]
    """
    import numpy as np

    return np.frombuffer(vector, "<f4").astype(np.float32)


def matrix(vectors: Sequence[bytes]) -> NDArray[np.float32]:
    """One row of unit length for each vector; one of zeros stays as it is."""
    import numpy as np

    rows = np.array([unpacked(vector) for vector in vectors], np.float32)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True) if len(rows) else rows
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32) if len(rows) else rows
