"""Bodies that come compressed though nobody asked for it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zlib import _Decompress

_GZIP = 0x1F  # the first byte of a member


class Inflater:
    """Inflates gzip, of one member or several (RFC 1952, section 2.2), and deflate."""

    def __init__(self) -> None:
        self._member: _Decompress | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return self._member is None or self._member.eof

    def feed(self, piece: bytes, most: int) -> bytes:
        """What a piece holds, at most `most` bytes of it. Raises zlib.error."""
        text = b""
        while piece and len(text) < most:
            if self._member is None or (self._member.eof and piece[0] == _GZIP):
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 32)
            elif self._member.eof:  # padding
                break
            text += self._member.decompress(piece, most - len(text))
            piece = self._member.unused_data
        return text


def inflater_of(encoding: bytes) -> Inflater | None:
    """What inflates a body in this encoding, None where there is nothing to do. Raises ValueError for any other."""
    if encoding in (b"gzip", b"x-gzip", b"deflate"):
        return Inflater()
    if encoding != b"identity":
        raise ValueError(f"a body in the encoding {encoding.decode('latin-1')!r}, which was not asked for")
    return None
