"""The way out of a stage: onto every reader's mailbox, in turn where order matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from streamgen.engine.ack import Ack
from streamgen.engine.mailbox import Block, Mailbox
from streamgen.engine.statistics import Counts
from streamgen.record import Record


class Outlet:
    """Where a stage's results go. With several readers each gets its own copy, named after the reader."""

    def __init__(self, boxes: dict[str, Mailbox], counts: Counts) -> None:
        self._boxes, self._counts = boxes, counts
        self._only = next(iter(boxes.items())) if len(boxes) == 1 else None
        self.put_nowait: Callable[[Block], bool] = self._only[1].put_nowait if self._only else _refuse
        """Puts a whole block where that takes no waiting and no copies, or changes nothing and returns False."""

    def replace(self, children: Sequence[Record], ack: Ack) -> Block | None:
        """Settle the one share that these came from, and send them on at once; what has to be sent with `send`."""
        ack.settle(len(children) * len(self._boxes))
        if not children:
            return None
        self._counts.emitted += len(children)
        block = Block(children, (ack,) * len(children))
        return None if self.put_nowait(block) else block

    async def emit(self, block: Block) -> None:
        """Send on records whose shares are counted already for one reader."""
        self._counts.emitted += len(block.records)
        more = len(self._boxes) - 1
        if more:
            for ack in block.acks:
                ack.live += more
        await self.send(block)

    def close(self) -> None:
        """Nothing more will come."""
        for box in self._boxes.values():
            box.close()

    async def send(self, block: Block) -> None:
        """Put what is settled and counted already into every reader's mailbox."""
        if self._only is not None:
            await self._put(*self._only, block)
            return
        for name, box in self._boxes.items():
            copies = [Record(f"{record.id}/{name}", record.columns, record.meta) for record in block.records]
            await self._put(name, box, Block(copies, block.acks))

    async def _put(self, name: str, box: Mailbox, block: Block) -> None:
        if not box.put_nowait(block):
            self._counts.blocked[name] += 1
            await box.put(block)
            self._counts.blocked[name] -= 1


class Turns:
    """Lets workers that finish in any order leave in the order in which they began."""

    def __init__(self) -> None:
        self._given = self._current = 0
        self._waiting: dict[int, anyio.Event] = {}

    def next(self) -> int:
        """The turn of a record that was just taken."""
        self._given += 1
        return self._given - 1

    async def wait(self, turn: int) -> None:
        """Return when every earlier turn is done."""
        if turn != self._current:
            event = self._waiting[turn] = anyio.Event()
            await event.wait()
            del self._waiting[turn]

    def done(self, turn: int) -> None:
        """Let the next one go."""
        self._current = turn + 1
        if event := self._waiting.get(self._current):
            event.set()


def _refuse(block: Block) -> bool:
    return False
