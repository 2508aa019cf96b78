"""Pages: what one commit brings of the tables that grow with every ticket, each as one value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from streamgen.journal.progress import Row

_RECORDS, _BYTES = 512, 1 << 20  # of a page of records, so that whoever reads one holds little

_encode = msgspec.json.Encoder().encode
_encode_memories = msgspec.msgpack.Encoder().encode


class Stored(NamedTuple):
    """An accepted record: its place in the order of acceptance, from 1, and its JSON line."""

    seq: int
    body: bytes


class StoredCall(NamedTuple):
    """A call that was answered: who asked, for which record, for the how manieth time, and what came."""

    ticket: int
    stage: str
    record: str
    n: int
    model: str
    request: msgspec.Raw
    response: msgspec.Raw
    prompt_tokens: int
    completion_tokens: int
    requests: int
    cost_usd: float | None


class RecordPage(NamedTuple):
    """Accepted records in order: the place of the last one, how many there are, and their lines."""

    last: int
    size: int
    lines: bytes

    def records(self, after: int = 0) -> list[Stored]:
        """Those behind the `after`-th of the run."""
        first = self.last - self.size + 1
        skipped = max(0, after + 1 - first)
        return list(map(Stored, range(first + skipped, self.last + 1), self.lines.split(b"\n")[skipped:]))


def record_pages(rows: Sequence[Row]) -> Iterator[RecordPage]:
    """The rows (seq, ticket, id, body) in pages; their numbers follow each other."""
    page: list[Any] = []
    size = 0
    for seq, _, _, body in rows:
        page.append(body)
        size += len(body)  # type: ignore[arg-type]
        if len(page) >= _RECORDS or size >= _BYTES:
            yield RecordPage(seq, len(page), b"\n".join(page))  # type: ignore[arg-type]
            page, size = [], 0
    if page:
        yield RecordPage(rows[-1][0], len(page), b"\n".join(page))  # type: ignore[arg-type]


def outcome_page(rows: Sequence[Row]) -> bytes:
    """The rows (ticket, outcome, drops, error) as JSON; a ticket that was accepted without more is its number only."""
    return _encode([
        ticket if outcome == "accepted" and not drops and not error
        else (ticket, outcome, msgspec.Raw(drops) if isinstance(drops, bytes) else None, error)
        for ticket, outcome, drops, error in rows
    ])  # fmt: skip


def call_page(rows: Sequence[Row]) -> bytes:
    """Calls as JSON; their requests and responses are JSON already."""
    return _encode([
        (ticket, stage, record, n, model, _raw(request), _raw(response), read, written, requests, usd)
        for ticket, stage, record, n, model, request, response, read, written, requests, usd in rows
    ])  # fmt: skip


def memory_pages(rows: Sequence[Row]) -> Iterator[tuple[str, bytes]]:
    """A page for each stage of the rows (stage, record, body)."""
    stage_of: Any = itemgetter(0)
    for stage, own in groupby(sorted(rows, key=stage_of), key=stage_of):
        yield stage, _encode_memories([row[1:] for row in own])


calls_of = msgspec.json.Decoder(list[StoredCall]).decode
memories_of = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


_raw: Any = msgspec.Raw
