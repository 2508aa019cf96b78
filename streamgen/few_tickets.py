"""A source for a part of a run: the first few tickets."""

from __future__ import annotations

from collections.abc import Callable

from streamgen.engine.ack import Desk
from streamgen.engine.mailbox import Block
from streamgen.engine.run import Source


class FewTickets:
    """A source that gives at most `most` tickets, and says when it has given them."""

    def __init__(self, source: Source, most: int, on_last: Callable[[], None]) -> None:
        self._source, self._left, self._on_last = source, most, on_last

    async def take(self, credits: int, desk: Desk) -> Block:
        """The source's next tickets."""
        block = await self._source.take(min(credits, self._left), desk)
        self._left -= len(block.records)
        if not self._left:
            self._on_last()
        return block
