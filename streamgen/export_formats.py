"""Formats that trainers read: each is a function from a record to a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import TypeAlias

import msgspec

from streamgen.llm.model import Message
from streamgen.record import Record, Value

Row: TypeAlias = dict[str, Value]

PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("prompt", "answer"),
    ("question", "answer"),
)
"""What is asked and what is answered, where no columns are named: the first pair that a record has both of."""

_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
_TURN_MARKS = ("<|im_start|>", "<|im_end|>")


class Unfit(Exception):
    """The record cannot be written in this format; the message says why."""


class Chosen(msgspec.Struct, frozen=True):
    """Which columns hold what is asked and what is answered; None leaves it to the columns' usual names."""

    prompt: str | None = None
    response: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether the user named a column, which then goes before everything else."""
        return self.prompt is not None or self.response is not None

    def pairs(self) -> Sequence[tuple[str, str]]:
        """Pairs of columns to look for, in order."""
        if not self.is_given:
            return PAIRS
        prompts = [self.prompt] if self.prompt else list(dict.fromkeys(prompt for prompt, _ in PAIRS))
        responses = [self.response] if self.response else list(dict.fromkeys(response for _, response in PAIRS))
        return list(product(prompts, responses))


Format: TypeAlias = Callable[[Record, Chosen], Row]
"""Makes a row of a record. Raises Unfit where it cannot."""


class Exchange(msgspec.Struct, frozen=True):
    """One question and its answer. `input` is what an instruction works on, `system` what was said before both."""

    prompt: str
    response: str
    input: str = ""
    system: str = ""


def columns(record: Record, chosen: Chosen) -> Row:
    """All columns as they are."""
    return dict(record.columns)


def alpaca(record: Record, chosen: Chosen) -> Row:
    """`instruction`, `input`, `output`, and `system` where the conversation has one."""
    exchange = _only_exchange(turns) if (turns := _conversation(record, chosen)) else _exchange(record, chosen)
    row = {"instruction": exchange.prompt, "input": exchange.input, "output": exchange.response}
    return {**row, "system": exchange.system} if exchange.system else row


def sharegpt(record: Record, chosen: Chosen) -> Row:
    """`conversations`: turns with `from` (system, human, gpt, observation) and `value`."""
    return {"conversations": [{"from": _speaker(turn), "value": turn.content} for turn in _turns(record, chosen)]}


def openai(record: Record, chosen: Chosen) -> Row:
    """`messages`: turns with `role` and `content`."""
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in _turns(record, chosen)]}


def chatml(record: Record, chosen: Chosen) -> Row:
    r"""`text`: turns between `<|im_start|>` and `<|im_end|>`.

    >>> chatml(Record("0", {"prompt": "Hi", "answer": "Yes?"}), Chosen())["text"]
    '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>\n'
    """
    turns = _turns(record, chosen)
    for turn, mark in product(turns, _TURN_MARKS):
        if mark in turn.content:
            raise Unfit(f"a turn holds {mark}, which would end it early or forge another")
    return {"text": "".join(f"<|im_start|>{turn.role}\n{turn.content}<|im_end|>\n" for turn in turns)}


FORMATS: Mapping[str, Format] = {
    "jsonl": columns,
    "alpaca": alpaca,
    "sharegpt": sharegpt,
    "chatml": chatml,
    "openai": openai,
    "parquet": columns,
}
"""By name. `parquet` keeps all columns; any other format goes into a Parquet file too, when the file is called so."""


def _turns(record: Record, chosen: Chosen) -> Sequence[Message]:
    if turns := _conversation(record, chosen):
        return turns
    exchange = _exchange(record, chosen)
    asked = f"{exchange.prompt}\n\n{exchange.input}" if exchange.input else exchange.prompt
    return (Message("user", asked), Message("assistant", exchange.response))


def _conversation(record: Record, chosen: Chosen) -> Sequence[Message]:
    """The record's `messages`; none where it has no such column, or other columns were named."""
    if chosen.is_given or record.get("messages") is None:
        return ()
    try:
        turns = msgspec.convert(record["messages"], tuple[Message, ...])
    except msgspec.ValidationError as error:
        raise Unfit(f"its messages are no turns with role and content: {error}") from None
    if not any(turn.role == "assistant" for turn in turns):
        raise Unfit("its messages hold no turn of the assistant")
    return turns


def _exchange(record: Record, chosen: Chosen) -> Exchange:
    for prompt, response in chosen.pairs():
        if record.get(prompt) is not None and record.get(response) is not None:
            given = _text(record["input"]) if prompt == "instruction" and record.get("input") is not None else ""
            return Exchange(_text(record[prompt]), _text(record[response]), given)
    wanted = ", ".join("/".join(pair) for pair in chosen.pairs())
    raise Unfit(f"it lacks {'the columns' if chosen.is_given else 'messages and every pair of'} {wanted}")


def _only_exchange(turns: Sequence[Message]) -> Exchange:
    match [(turn.role, turn.content) for turn in turns]:
        case [("user", prompt), ("assistant", response)]:
            return Exchange(prompt, response)
        case [("system", system), ("user", prompt), ("assistant", response)]:
            return Exchange(prompt, response, system=system)
    roles = ", ".join(turn.role for turn in turns)
    raise Unfit(f"it takes one question with its answer, these messages are {roles}: choose sharegpt, chatml or openai")


def _speaker(turn: Message) -> str:
    return _SHAREGPT[turn.role]


def _text(value: Value) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
