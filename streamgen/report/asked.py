"""What was asked of the models for a few records, and what they answered: read from the journal's pages of calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from streamgen.journal.pages import StoredCall
from streamgen.journal.store import Store
from streamgen.masking import mask
from streamgen.record import Value
from streamgen.report.text import shown

_CALLS = 6  # of a record
_PROMPT, _ANSWER = 1500, 700  # characters that are shown of each


class Asked(msgspec.Struct, frozen=True):
    """A call that led to a record: by which stage, to which model, in which words, and what came."""

    stage: str
    model: str
    prompt: str
    answer: str


def asked_for(store: Store, records: Mapping[str, int]) -> dict[str, list[Asked]]:
    """The calls that led to each of these records, given with their tickets, in the order in which they were answered.

    A call for an ancestor counts for its descendants: `7` for `7.0`. Where the run keeps no calls, there are none.
    """
    by_ticket: dict[int, list[str]] = {}
    for record, ticket in records.items():
        by_ticket.setdefault(ticket, []).append(record)
    found: dict[str, list[Asked]] = {record: [] for record in records}
    for call in _calls(store):
        for record in by_ticket.get(call.ticket, ()):
            if len(found[record]) < _CALLS and f"{record}.".startswith(f"{call.record}."):
                found[record].append(_asked(call))
    return found


def _calls(store: Store) -> Iterator[StoredCall]:
    for (page,) in store.read("SELECT n FROM call_pages UNION SELECT n FROM open_call_pages ORDER BY n"):
        yield from store.calls(int(page or 0))


def _asked(call: StoredCall) -> Asked:
    request, response = msgspec.json.decode(call.request), msgspec.json.decode(call.response)
    prompt, answer = mask(_prompt(request)), str(response.get("text") or "")
    return Asked(call.stage, call.model, shown(prompt, _PROMPT), shown(answer, _ANSWER))


def _prompt(request: Mapping[str, Value]) -> str:
    """The words of a chat with their speakers, of a completion, or of texts that vectors were made of."""
    if "messages" in request:
        return "\n\n".join(f"{message['role']}: {_content(message.get('content'))}" for message in request["messages"])
    return "\n\n".join(map(str, request.get("texts") or [request.get("prompt", "")]))


def _content(content: str | Sequence[Value] | None) -> str:
    return content if isinstance(content, str) else shown(content, _PROMPT)
