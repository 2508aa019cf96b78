"""Alpaca, ShareGPT, ChatML and OpenAI's messages: rows of a record, and a record's columns of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product

from streamgen.export.turns import Chosen, Row, Turn, Turns, Unfit, as_turns, exchange_of, turns_of
from streamgen.record import Columns, Record, Value

_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
_ROLES = {
    **{speaker: role for role, speaker in _SHAREGPT.items()},
    **{"user": "user", "assistant": "assistant", "chatgpt": "assistant", "model": "assistant", "tool": "tool"},
}
_TURN_MARKS = ("<|im_start|>", "<|im_end|>")
_CHATML_TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>\n?", re.DOTALL)


def alpaca(record: Record, chosen: Chosen) -> Row:
    """`instruction`, `input`, `output`, and `system` where the conversation has one."""
    exchange = exchange_of(record, chosen)
    row = {"instruction": exchange.prompt, "input": exchange.input, "output": exchange.response}
    return {**row, "system": exchange.system} if exchange.system else row


def from_alpaca(columns: Columns) -> Columns:
    """The same columns; an input that is empty is none."""
    for name in ("instruction", "output"):
        if not isinstance(columns.get(name), str):
            raise Unfit(f"the column {name} holds no text; allowed are texts in instruction and output")
    return {name: value for name, value in columns.items() if value or name not in ("input", "system")}


def sharegpt(record: Record, chosen: Chosen) -> Row:
    """`conversations`: turns with `from` (system, human, gpt, observation) and `value`."""
    return {
        "conversations": [{"from": _SHAREGPT[turn.role], "value": turn.content} for turn in turns_of(record, chosen)]
    }


def from_sharegpt(columns: Columns) -> Columns:
    """`conversations` as `messages`, the other columns as they are."""
    turns = columns.get("conversations")
    if not isinstance(turns, list):
        raise Unfit("the column conversations is no list; allowed is a list of objects with from and value")
    messages = [_message(turn, number) for number, turn in enumerate(turns)]
    return _renamed(columns, "conversations", messages)


def openai(record: Record, chosen: Chosen) -> Row:
    """`messages`: turns with `role`, `content`, and `weight` where the record has one; the last is the assistant's."""
    turns = turns_of(record, chosen)
    if turns[-1].role != "assistant":
        raise Unfit(f"the column messages ends with a turn of the {turns[-1].role}; the last has to be the assistant's")
    return {"messages": plain(turns)}


def from_openai(columns: Columns) -> Columns:
    """The same columns, `messages` looked at."""
    return {**columns, "messages": plain(as_turns(columns.get("messages"), "messages"))}


def chatml(record: Record, chosen: Chosen) -> Row:
    r"""`text`: turns between `<|im_start|>` and `<|im_end|>`.

    >>> chatml(Record("0", {"prompt": "Hi", "answer": "Yes?"}), Chosen())["text"]
    '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>\n'
    """
    turns = turns_of(record, chosen)
    for turn, mark in product(turns, _TURN_MARKS):
        if mark in turn.content:
            raise Unfit(f"a turn of the {turn.role} holds {mark}, which would end it early or forge another")
    return {"text": "".join(f"<|im_start|>{turn.role}\n{turn.content}<|im_end|>\n" for turn in turns)}


def from_chatml(columns: Columns) -> Columns:
    """The turns in `text` as `messages`, the other columns as they are."""
    text = columns.get("text")
    turns = _CHATML_TURN.findall(text) if isinstance(text, str) else []
    if not turns or _CHATML_TURN.sub("", str(text)).strip():
        raise Unfit("the column text is no row of turns, each <|im_start|>role, a line break, its text and <|im_end|>")
    messages = as_turns([{"role": role, "content": content} for role, content in turns], "text")
    return _renamed(columns, "text", plain(messages))


def plain(turns: Turns) -> list[Mapping[str, Value]]:
    """The turns as plain objects."""
    return [{"role": turn.role, "content": turn.content, **_weight(turn)} for turn in turns]


def _weight(turn: Turn) -> Mapping[str, int]:
    return {} if turn.weight is None else {"weight": turn.weight}


def _message(turn: Value, number: int) -> Mapping[str, Value]:
    match turn:
        case {"from": str(speaker), "value": str(content)} if speaker.lower() in _ROLES:
            return {"role": _ROLES[speaker.lower()], "content": content}
    raise Unfit(
        f"turn {number} of the column conversations is none: allowed is an object with value (a text) and from, "
        f"which is one of {', '.join(_ROLES)}"
    )


def _renamed(columns: Columns, old: str, messages: Sequence[Mapping[str, Value]]) -> Columns:
    return {("messages" if name == old else name): (messages if name == old else v) for name, v in columns.items()}
