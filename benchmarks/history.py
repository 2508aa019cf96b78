"""Run directories with a long history, written through the store in seconds instead of being run for minutes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import msgspec

from streamgen.journal.progress import Row
from streamgen.journal.sinks import JsonlSettings, JsonlSink
from streamgen.journal.store import FILE_NAME, Store
from streamgen.recipe import Recipe
from streamgen.record import Meta, Record, Usage, encode
from streamgen.resume import adopt
from streamgen.source import JsonlRows, Place, Rows
from streamgen.source import JsonlSettings as SourceSettings

_TICKETS_A_COMMIT = 1024
_ANSWER = "An answer of some length, as models give them, about what was asked and a few things more. " * 6


def write_history(directory: Path, recipe: Recipe, tickets: int) -> None:
    """Make `directory` that of a run of `recipe` which was killed after so many tickets, all of them accepted.

    The recipe has a JSONL source, one calling stage whose `output` is "text", and a JSONL sink "records.jsonl".
    """
    directory.mkdir(parents=True, exist_ok=True)
    store = Store(directory / FILE_NAME, retain=recipe.run.retain)
    adopt(store, recipe)
    store.commit({"sessions": [(1, 0.0, 60.0, "running", b"{}")]})
    source = recipe.source
    assert source is not None and isinstance(source.settings, SourceSettings)
    rows = Rows(JsonlRows(source.settings))
    for first in range(0, tickets, _TICKETS_A_COMMIT):
        place = rows.place()
        made = range(first, min(tickets, first + _TICKETS_A_COMMIT))
        store.commit(_commit(recipe, made, rows, place))
    _project(store, directory)
    store.close()


def _commit(recipe: Recipe, tickets: range, rows: Rows, place: Place | None) -> dict[str, list[Row]]:
    stage = recipe.stages[0].name
    usage = Usage(100, 130, 1, None)
    response = msgspec.json.encode({"text": _ANSWER, "usage": usage})
    found: dict[str, list[Row]] = {"calls": [], "records": [], "outcomes": [], "places": []}
    if place is not None:
        found["places"].append((place.row, msgspec.json.encode(place.at)))
    for ticket, row in zip(tickets, islice(rows, len(tickets)), strict=True):
        assert isinstance(row, dict)
        meta = Meta(ticket=ticket, path=(stage,), seed=recipe.seed, models=("mock",), usage=usage)
        body = encode(Record(str(ticket), {**row, "text": _ANSWER}, meta))
        request = msgspec.json.encode({"messages": [{"role": "user", "content": str(row)}]})
        found["calls"].append((ticket, stage, str(ticket), 0, "main", request, response, 100, 130, 1, None))
        found["records"].append((ticket + 1, ticket, str(ticket), body))
        found["outcomes"].append((ticket, "accepted", None, None))
    return found


def _project(store: Store, directory: Path) -> None:
    sink = JsonlSink(JsonlSettings())
    sink.open(directory, 0)
    position = None
    for page in store.pages():
        sink.write(page)
        position = sink.sync(is_last=True)
    store.commit({"sinks": [("records.jsonl", store.last_seq, position)]})
    sink.close()
