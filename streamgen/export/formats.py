"""The formats by name: how a record becomes rows, how a row becomes a record's columns, and how a row is recognised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from streamgen.errors import UnknownName
from streamgen.export import chat_formats as chat
from streamgen.export import trl_formats as trl
from streamgen.export.turns import Chosen, Row
from streamgen.record import META_KEY, Columns, Record

Write: TypeAlias = Callable[[Record, Chosen], Sequence[Row]]
"""Makes rows of a record. Raises Unfit where it cannot."""

Read: TypeAlias = Callable[[Columns], Columns]
"""Makes a record's columns of a row. Raises Unfit where it is none of the format."""


class Format(msgspec.Struct, frozen=True):
    """A format: both ways, what it holds, and the columns that are no text, which CSV keeps as JSON.

    `ending` is that of its files, where their names have none.
    """

    write: Write
    read: Read
    holds: str
    json_columns: frozenset[str] = frozenset()
    ending: str = ".jsonl"


def _one(make: Callable[[Record, Chosen], Row]) -> Write:
    return lambda record, chosen: (make(record, chosen),)


def _columns(record: Record, chosen: Chosen) -> Row:
    return dict(record.columns)


def _trl(
    standard: tuple[Write, Read], turns: tuple[Write, Read], names: str, json_columns: frozenset[str] = frozenset()
) -> tuple[Format, Format]:
    """A type of TRL's in its standard and its conversational form."""
    listed = frozenset(names.split(", "))
    return (
        Format(*standard, f"{names}: texts", json_columns),
        Format(*turns, f"{names}: turns with role and content", json_columns | listed),
    )


_PROMPT_COMPLETION = _trl(
    (_one(trl.prompt_completion), trl.from_prompt_completion),
    (_one(trl.prompt_completion_conversational), trl.from_prompt_completion),
    "prompt, completion",
)
_PREFERENCE = _trl(
    (_one(trl.preference), trl.from_preference),
    (_one(trl.preference_conversational), trl.from_preference),
    "prompt, chosen, rejected",
    frozenset({"margin"}),
)
_UNPAIRED = _trl(
    (trl.unpaired, trl.from_unpaired),
    (trl.unpaired_conversational, trl.from_unpaired),
    "prompt, completion",
    frozenset({"label"}),
)
_MESSAGES = "messages: turns with role, content and, where given, weight"
_TURNS = frozenset({"messages"})

FORMATS: Mapping[str, Format] = {
    "jsonl": Format(_one(_columns), dict, "every column"),
    "parquet": Format(_one(_columns), dict, "every column, a missing one as null", ending=".parquet"),
    "csv": Format(_one(_columns), dict, "every column as text", ending=".csv"),
    "text": Format(_one(trl.text), trl.from_text, "text", ending=".txt"),
    "alpaca": Format(_one(chat.alpaca), chat.from_alpaca, "instruction, input, output, system"),
    "sharegpt": Format(
        _one(chat.sharegpt), chat.from_sharegpt, "conversations: turns with from and value",
        frozenset({"conversations"}),
    ),
    "chatml": Format(_one(chat.chatml), chat.from_chatml, "text: turns with role and content"),
    "openai": Format(_one(chat.openai), chat.from_openai, _MESSAGES, _TURNS),
    "language-modeling": Format(_one(trl.text), trl.from_text, "text"),
    "language-modeling-conversational": Format(_one(trl.conversation), chat.from_openai, _MESSAGES, _TURNS),
    "prompt-completion": _PROMPT_COMPLETION[0],
    "prompt-completion-conversational": _PROMPT_COMPLETION[1],
    "preference": _PREFERENCE[0],
    "preference-conversational": _PREFERENCE[1],
    "unpaired-preference": _UNPAIRED[0],
    "unpaired-preference-conversational": _UNPAIRED[1],
}  # fmt: skip
"""By name. `jsonl`, `parquet` and `csv` keep all columns; the other formats go into any kind of file."""


def format_named(name: str) -> Format:
    """The format of this name; `_` counts as `-`. Raises UnknownName."""
    found = FORMATS.get(name.replace("_", "-"))
    if found is None:
        raise UnknownName("format", name, FORMATS)
    return found


def recognised(row: Row) -> str:
    """The name of the format that a row is of, by its columns; "jsonl" where it is none of the others.

    >>> recognised({"instruction": "Add.", "input": "1 2", "output": "3"}), recognised({"text": "t", "label": "x"})
    ('alpaca', 'jsonl')
    """
    names = row.keys() - {META_KEY}
    match row:
        case {"messages": _}:
            return "openai"
        case {"conversations": _}:
            return "sharegpt"
        case {"chosen": answer, "rejected": _}:
            return "preference" + _form(answer)
        case {"prompt": _, "completion": answer, "label": bool() | "true" | "false" | "True" | "False"}:
            return "unpaired-preference" + _form(answer)
        case {"prompt": _, "completion": answer}:
            return "prompt-completion" + _form(answer)
        case {"instruction": _, "output": _} if names <= {"instruction", "input", "output", "system"}:
            return "alpaca"
        case {"text": str(text)} if names == {"text"}:
            return "chatml" if text.startswith("<|im_start|>") else "text"
    return "jsonl"


def _form(answer: object) -> str:
    is_turns = isinstance(answer, list) or (isinstance(answer, str) and answer.startswith('[{"role":'))
    return "-conversational" if is_turns else ""
