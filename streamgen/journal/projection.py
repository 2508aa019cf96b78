"""Keeps a sink in step with the journal: write, sync, then store how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio

from streamgen.errors import JournalError
from streamgen.journal.journal import Journal, JournalFailed
from streamgen.journal.pages import Stored
from streamgen.journal.sinks import Sink

_PAGE = 512  # records written at a time
_INTERVAL_S = 0.2  # between two syncs while the run goes on: a reader of the file sees records that old at most


class Projection:
    """One sink of a run. After a crash it goes back to the stored position and writes the rest again."""

    def __init__(self, name: str, sink: Sink, journal: Journal) -> None:
        self.name = name
        self._sink, self._journal = sink, journal
        self._seq = self._stored = 0

    @property
    def file(self) -> str | None:
        """The sink's file, relative to the run's directory; None where it writes none."""
        path = getattr(getattr(self._sink, "settings", None), "path", None)
        return None if path is None else str(path)

    def open(self, directory: Path) -> None:
        """Bring the sink back to where the journal knows it to be. Raises StreamgenError where it cannot be."""
        found = self._journal.store.read("SELECT seq, position FROM sinks WHERE name = ?", self.name)
        seq, position = found[0] if found else (0, 0)
        self._seq = self._stored = int(seq or 0)
        try:
            if not self._sink.open(directory, int(position or 0)):
                self._seq = self._stored = 0
        except OSError as error:
            raise JournalError(f"the sink {self.name!r} cannot be opened: {error}") from error

    async def run(self) -> None:
        """Write records as they are committed, until the journal is complete. Raises FatalError on a full disk."""
        while await self._journal.accepted_beyond(self._seq):
            await self._project(is_last=False)
            with anyio.move_on_after(_INTERVAL_S):
                await self._journal.completed.wait()
        await self._project(is_last=True)

    def close(self) -> None:
        """Let go of the sink's file; closing twice is fine."""
        self._sink.close()

    async def _project(self, is_last: bool) -> None:
        while page := await self._journal.read(self._seq, _PAGE):
            self._seq = page[-1].seq
            await self._sync(page, is_last=False)
        if is_last:
            await self._sync([], is_last=True)

    async def _sync(self, page: Sequence[Stored], is_last: bool) -> None:
        try:
            position = await self._journal.offload(self._write, page, is_last)
        except OSError as error:
            raise JournalFailed(
                f"the sink {self.name!r} cannot be written: {error.strerror or error}; "
                "the records are safe in the journal: mend it and run again"
            ) from error
        if position is not None and self._seq != self._stored:
            self._journal.append("sinks", self.name, self._seq, position)
            self._stored = self._seq

    def _write(self, page: Sequence[Stored], is_last: bool) -> int | None:
        self._sink.write(page)
        return self._sink.sync(is_last)
