"""Which names of what comes in the provenance are measured, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest


class Names:
    """The names that are wished for; where none is, the first `most` of all by the alphabet.

    A name that is among the first ones at the end was so from its first time on, whatever the order.
    """

    def __init__(self, wished: tuple[str, ...], most: int) -> None:
        self._wished, self._most = wished, most
        self._known: set[str] = set()

    def known(self, found: Iterable[str]) -> list[str]:
        """The names that are measured, in order, now that these have come too."""
        if self._wished:
            return list(self._wished)
        self._known.update(found)
        first = nsmallest(self._most, self._known)
        self._known = set(first)
        return first
