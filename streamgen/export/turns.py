"""What a record says, whatever its columns are called: one question and its answer, or the turns of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal, TypeAlias

import msgspec

from streamgen.llm.model import Role
from streamgen.record import Columns, Record, Value

Row: TypeAlias = Columns

PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("prompt", "answer"),
    ("question", "answer"),
)
"""What is asked and what is answered, where no columns are named: the first pair that a record has both of."""

_CONVERSATION = ("messages",)
_CONVERSATION_IN_TWO = ("prompt", "completion")


class Unfit(Exception):
    """The record cannot be written in this format; the message names the column and says what is allowed."""


class Chosen(msgspec.Struct, frozen=True):
    """Which columns hold what is asked, what is answered, and a whole text; None leaves it to their usual names."""

    prompt: str | None = None
    response: str | None = None
    text: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether the user named a column of question or answer, which then goes before everything else."""
        return self.prompt is not None or self.response is not None

    def pairs(self) -> Sequence[tuple[str, str]]:
        """Pairs of columns to look for, in order."""
        if not self.is_given:
            return PAIRS
        responses = [self.response] if self.response else list(dict.fromkeys(response for _, response in PAIRS))
        return list(product(self.prompts(), responses))

    def prompts(self) -> Sequence[str]:
        """Columns of what is asked to look for, in order."""
        return [self.prompt] if self.prompt else list(dict.fromkeys(prompt for prompt, _ in PAIRS))


class Turn(msgspec.Struct, frozen=True):
    """One turn of a conversation. `weight` 0 keeps a trainer from learning it, where the format can say so."""

    role: Role
    content: str
    weight: Literal[0, 1] | None = None


Turns: TypeAlias = tuple[Turn, ...]


class Exchange(msgspec.Struct, frozen=True):
    """One question and its answer. `input` is what an instruction works on, `system` what was said before both."""

    prompt: str
    response: str
    input: str = ""
    system: str = ""

    @property
    def asked(self) -> str:
        """The instruction, and behind it what it works on."""
        return f"{self.prompt}\n\n{self.input}" if self.input else self.prompt


def turns_of(record: Record, chosen: Chosen) -> Turns:
    """The record's conversation, or its question and answer as one. Raises Unfit where it has neither."""
    if turns := conversation_of(record, chosen):
        return turns
    exchange = pair_of(record, chosen)
    said = (Turn("user", exchange.asked), Turn("assistant", exchange.response))
    return (Turn("system", exchange.system), *said) if exchange.system else said


def exchange_of(record: Record, chosen: Chosen) -> Exchange:
    """The record's question and answer, also out of a conversation of no more. Raises Unfit where it has none."""
    if turns := conversation_of(record, chosen):
        return _only_exchange(turns)
    return pair_of(record, chosen)


def conversation_of(record: Record, chosen: Chosen) -> Turns:
    """The record's `messages`, or the turns of its `prompt` and `completion`; none where other columns were named.

    Raises Unfit where they are no conversation, or the assistant has no part in it.
    """
    columns = _CONVERSATION if record.get("messages") is not None else _CONVERSATION_IN_TWO
    if chosen.is_given or not all(_holds_turns(record.get(column), column) for column in columns):
        return ()
    turns = tuple(turn for column in columns for turn in as_turns(record[column], column))
    if not any(turn.role == "assistant" for turn in turns):
        raise Unfit(f"the column {columns[-1]} holds no turn of the assistant")
    return turns


def _holds_turns(value: Value, column: str) -> bool:
    """`messages` always should; any other column where it looks so."""
    if column in _CONVERSATION:
        return value is not None
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "role" in value[0]


def as_turns(value: Value, column: str) -> Turns:
    """The value as turns. Raises Unfit, which names the column."""
    try:
        return msgspec.convert(value, Turns)
    except msgspec.ValidationError as error:
        allowed = "a list of objects with role (system, user, assistant, tool) and content (a text)"
        raise Unfit(f"the column {column} is no conversation: {error}; allowed is {allowed}") from None


def pair_of(record: Record, chosen: Chosen) -> Exchange:
    """What stands in the first pair of columns that the record has both of. Raises Unfit where it has none."""
    for prompt, response in chosen.pairs():
        if record.get(prompt) is not None and record.get(response) is not None:
            return _exchange(record, prompt, response)
    wanted = ", ".join("/".join(pair) for pair in chosen.pairs())
    raise Unfit(f"it lacks {'the columns' if chosen.is_given else 'messages and every pair of'} {wanted}")


def _exchange(record: Record, prompt: str, response: str) -> Exchange:
    is_task = prompt == "instruction"
    given = as_text(record.get("input")) if is_task else ""
    system = as_text(record.get("system")) if is_task else ""
    return Exchange(as_text(record[prompt]), as_text(record[response]), given, system)


def as_text(value: Value) -> str:
    """A text as it is, "" for null, JSON for anything else."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _only_exchange(turns: Turns) -> Exchange:
    match [(turn.role, turn.content) for turn in turns]:
        case [("user", prompt), ("assistant", response)]:
            return Exchange(prompt, response)
        case [("system", system), ("user", prompt), ("assistant", response)]:
            return Exchange(prompt, response, system=system)
    roles = ", ".join(turn.role for turn in turns)
    raise Unfit(
        f"the format takes one question with its answer, the column messages holds the turns {roles}: "
        "choose sharegpt, chatml or openai"
    )
