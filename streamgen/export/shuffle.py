"""The same rows in an order of chance that a seed decides, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import SpooledTemporaryFile
from typing import IO

import msgspec

from streamgen.record import Value

_BUCKETS = 64
_IN_MEMORY = 1 << 20  # bytes of a bucket; what is more goes to a file that has no name

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[float, Value]).decode


def shuffled(items: Iterable[Value], seed: int, folder: Path) -> Iterator[Value]:
    """The items (JSON values), sorted by a number that each one draws: the order depends on the seed alone.

    They are dealt into 64 buckets by that number, in files in `folder` where they are many; one bucket at a time is
    sorted in memory.
    """
    draw = Random(seed).random
    with ExitStack() as stack:
        buckets = [stack.enter_context(SpooledTemporaryFile(_IN_MEMORY, dir=str(folder))) for _ in range(_BUCKETS)]
        for item in items:
            key = draw()
            buckets[int(key * _BUCKETS)].write(_encode((key, item)) + b"\n")
        for bucket in buckets:
            yield from _sorted(bucket)


def _sorted(bucket: IO[bytes]) -> Iterator[Value]:
    bucket.seek(0)
    rows = sorted(map(_decode, bucket), key=lambda row: row[0])
    return (item for _, item in rows)
