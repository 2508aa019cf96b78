"""Filters, called as the engine calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamgen.context import StageContext
from streamgen.engine.results import children_of
from streamgen.engine.stage import Drop, Kind, kind_of
from streamgen.record import Record
from streamgen.settings import Settings

ODD = [
    "",
    "   \n\n ",
    "yes",
    "?!",
    None,
    7,
    ["a", 1],
    {"a": "b"},
    "天气很好。",
    "مرحبا بالعالم",
    "\ud800",
    "\0",
    "😀" * 50,
]
"""Columns that are ordinary input."""


def records(*texts: object) -> list[Record]:
    return [Record(str(n), {"text": text}) for n, text in enumerate(texts)]


def reasons(handler: Any, settings: Settings, texts: Sequence[object]) -> list[str | None]:
    """Of each text, why it is dropped; None where it is kept."""
    given, context = records(*texts), StageContext("stage", settings)
    batch = handler(given, context) if kind_of(handler) is Kind.BATCH else [handler(one, context) for one in given]
    children = [children_of(result, record, "stage") for result, record in zip(batch, given, strict=True)]
    return [own.reason if isinstance(own, Drop) else None for own in children]


def reason(handler: Any, settings: Settings, text: object) -> str | None:
    """Why the text is dropped; None where it is kept."""
    return reasons(handler, settings, [text])[0]
