"""The bounded queue in front of a stage: many writers, readers that take all that waits, up to a limit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import islice

import msgspec

from streamgen.engine.ack import Ack
from streamgen.record import Record, size_bytes


class Block(msgspec.Struct, eq=False, gc=False):
    """Records that travel together, each with the ack of its ticket: two lists of one length, never changed."""

    records: Sequence[Record]
    acks: Sequence[Ack]


NOTHING = Block((), ())


class Mailbox:
    """Holds at most `capacity` records and about `capacity_bytes` bytes (one record may be larger than that).

    Readers take up to `limit` records at once; larger blocks are cut when they are put.

    A cancelled `take` has taken nothing; a cancelled `put` has put nothing, or whole records from the block's
    beginning. A wake-up that a cancelled one had got is passed on. Neither takes a turn of the event loop where it
    need not wait.
    """

    def __init__(self, capacity: int, writers: int, *, limit: int = 64, capacity_bytes: int | None = None) -> None:
        self.capacity, self.capacity_bytes, self.limit = capacity, capacity_bytes, limit
        self.peak = self.peak_bytes = 0
        self._writers = writers
        self._blocks: deque[Block] = deque()
        self._count = self._bytes = 0
        self._readers_waiting: deque[asyncio.Future[None]] = deque()
        self._writers_waiting: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        waiting = f"{len(self._readers_waiting)} readers and {len(self._writers_waiting)} writers wait"
        return f"<Mailbox {self._count}/{self.capacity} records, {waiting}, {self._writers} writers open>"

    @property
    def is_full(self) -> bool:
        """Whether a writer has to wait."""
        return self._count >= self.capacity or (self.capacity_bytes is not None and self._bytes >= self.capacity_bytes)

    def put_nowait(self, block: Block) -> bool:
        """Append the whole block (of at least one record) if there is room; otherwise change nothing, return False."""
        added = len(block.records)
        count = self._count + added
        if count > self.capacity or (self.capacity_bytes is not None and not self._weigh_in(block)):
            return False
        if added <= self.limit:
            self._blocks.append(block)
        else:
            self._blocks.extend([_part(block, at, at + self.limit) for at in range(0, added, self.limit)])
        self._count = count
        if count > self.peak:
            self.peak = count
        if self._readers_waiting:
            _wake(self._readers_waiting, added)
        return True

    async def put(self, block: Block) -> None:
        """Append the block, in parts where there is no room for it as a whole."""
        while not self.put_nowait(block):
            if room := self._room_for(block):
                self.put_nowait(_part(block, 0, room))
                block = _part(block, room, len(block.records))
            await self._wait(self._writers_waiting)
        if self._writers_waiting and not self.is_full:
            _wake(self._writers_waiting, 1)

    def take_nowait(self) -> Block | None:
        """1 to `limit` records if any are here."""
        blocks = self._blocks
        if not blocks:
            return None
        block = blocks.popleft()
        taken = len(block.records)
        if taken < self.limit and blocks:
            block = self._filled(block)
            taken = len(block.records)
        self._count -= taken
        if self.capacity_bytes is not None:
            # a handler that changes columns in place changes sizes, too: the account starts anew where it can
            self._bytes = self._bytes - size_bytes(block.records) if blocks else 0
        if self._writers_waiting:
            _wake(self._writers_waiting, 1)
        return block

    async def take(self) -> Block:
        """1 to `limit` records, or none once every writer has closed."""
        while (block := self.take_nowait()) is None:
            if not self._writers:
                return NOTHING
            await self._wait(self._readers_waiting)
        return block

    def close(self) -> None:
        """One writer is done; after the last one, readers get what is left and then nothing."""
        self._writers -= 1
        if not self._writers:
            _wake(self._readers_waiting, len(self._readers_waiting))

    def _weigh_in(self, block: Block) -> bool:
        """Add the block's bytes if there is room for all of it."""
        if self._room_for(block) < len(block.records):
            return False
        self._bytes += size_bytes(block.records)
        self.peak_bytes = max(self.peak_bytes, self._bytes)
        return True

    def _room_for(self, block: Block) -> int:
        """How many of the block's first records may enter now."""
        free = self.capacity - self._count
        if self.capacity_bytes is None:
            return min(free, len(block.records))
        fitting, total = 0, self._bytes
        for record in islice(block.records, free):
            total += size_bytes((record,))
            if total > self.capacity_bytes and (self._count or fitting):
                break
            fitting += 1
        return fitting

    def _filled(self, block: Block) -> Block:
        """The block with those behind it, as far as they fit whole."""
        blocks, free = self._blocks, self.limit - len(block.records)
        if len(blocks[0].records) > free:
            return block
        records, acks = list(block.records), list(block.acks)
        while blocks and len(blocks[0].records) <= free:
            block = blocks.popleft()
            records += block.records
            acks += block.acks
            free -= len(block.records)
        return Block(records, acks)

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        waiter = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                _wake(queue, 1)
            raise


def _wake(queue: deque[asyncio.Future[None]], count: int) -> None:
    while queue and count:
        waiter = queue.popleft()
        if not waiter.done():
            waiter.set_result(None)
            count -= 1


def _part(block: Block, start: int, end: int) -> Block:
    return Block(block.records[start:end], block.acks[start:end])
