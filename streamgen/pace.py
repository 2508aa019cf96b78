"""How far the consumer of a run is: when it falls behind, the gate waits, mailboxes fill, and calls stop."""

from __future__ import annotations

import anyio

from streamgen.errors import RecipeError
from streamgen.journal.journal import Journal


class Pace:
    """Invariant: at most `window` records are accepted ahead of the consumer, until nobody is waited for any more."""

    def __init__(self, journal: Journal, window: int) -> None:
        if window < 1:
            raise RecipeError(f"window is {window}; a run must be allowed at least 1 record ahead of its consumer")
        self.window = window
        self.is_waiting = False  # whether it is the consumer who holds the run back
        self._journal = journal
        self._seq: int | None = 0  # how far the consumer is; None once it is not waited for
        self._moved = anyio.Event()

    @property
    def is_full(self) -> bool:
        """Whether the next record has to wait."""
        return self._seq is not None and self._journal.last_seq - self._seq >= self.window

    def reached(self, seq: int) -> None:
        """The consumer has taken the `seq`-th record."""
        if self._seq is not None:
            self._seq = seq
            self._moved.set()

    def release(self) -> None:
        """Wait for no consumer, from now on."""
        self._seq = None
        self._moved.set()

    async def room(self) -> None:
        """Return when one more record may be accepted."""
        try:
            while self.is_full:
                self.is_waiting = True
                self._moved = anyio.Event()
                await self._moved.wait()
        finally:
            self.is_waiting = False
