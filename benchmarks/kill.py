"""A kill -9, and what it may cost: the calls in flight, and the answers that were not yet committed."""

from __future__ import annotations

import time
from bisect import bisect_left

import msgspec

from benchmarks.mock import Mock
from benchmarks.processes import Process

COMMIT_S = 0.04
"""The journal's commit interval of 20 ms, and as much again for the commit itself."""
_FINISH_S = 0.1  # what is in flight is finished (and paid) meanwhile


class Kill(msgspec.Struct, frozen=True):
    """Calls in flight for the client, and answers in the commit interval before the kill.

    For a client that is busy many calls are answered but not read yet; they are in flight for it. So the calls that it
    may have at once are taken, not what the endpoint still works on.
    """

    in_flight: int
    committing: int

    @property
    def allowed(self) -> int:
        """So many calls may be paid again."""
        return self.in_flight + self.committing


def kill(process: Process, mock: Mock, concurrency: int) -> Kill:
    """Kill the client now."""
    at = time.time()
    process.kill()
    time.sleep(_FINISH_S)
    answers = mock.history()["answers"]
    return Kill(concurrency, bisect_left(answers, at) - bisect_left(answers, at - COMMIT_S))
