"""TRL's types of data sets, each standard (texts) and conversational (turns): language modeling, prompt-completion,
preference, unpaired preference.

The types are those of TRL's documentation, "Dataset formats and types"; their columns have the names that its trainers
look for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from streamgen.export.chat_formats import plain
from streamgen.export.turns import Chosen, Row, Turn, Turns, Unfit, as_text, as_turns, exchange_of, turns_of
from streamgen.record import Columns, Record, Value

_ANSWERS = ("chosen", "rejected")


def text(record: Record, chosen: Chosen) -> Row:
    """`text`: the column of that name, or the one that was named."""
    column = chosen.text or "text"
    _need_text(record, column)
    return {"text": record[column]}


def conversation(record: Record, chosen: Chosen) -> Row:
    """`messages`, as the conversational form of language modeling."""
    return {"messages": plain(turns_of(record, chosen))}


def prompt_completion(record: Record, chosen: Chosen) -> Row:
    """`prompt` and `completion`, both texts. A system prompt has no place there."""
    exchange = exchange_of(record, chosen)
    if exchange.system:
        raise Unfit("a system prompt has no place beside prompt and completion; choose the conversational form")
    return {"prompt": exchange.asked, "completion": exchange.response}


def prompt_completion_conversational(record: Record, chosen: Chosen) -> Row:
    """`prompt`: all turns but the last, which is the assistant's and `completion`."""
    turns = turns_of(record, chosen)
    if len(turns) < 2 or turns[-1].role != "assistant":
        raise Unfit("a prompt and, as the last turn, the assistant's completion are needed")
    return {"prompt": plain(turns[:-1]), "completion": plain(turns[-1:])}


def preference(record: Record, chosen: Chosen) -> Row:
    """`prompt`, `chosen`, `rejected`, all texts, and `margin` where the record has a number of that name."""
    for column in _ANSWERS:
        _need_text(record, column)
    row = {"prompt": _asked(record, chosen), **{column: record[column] for column in _ANSWERS}}
    return {**row, **_margin(record)}


def preference_conversational(record: Record, chosen: Chosen) -> Row:
    """`prompt`, `chosen`, `rejected`, all turns, and `margin` where the record has a number of that name.

    Where `chosen` and `rejected` hold the question too, the turns that both begin with are the prompt.
    """
    good, bad = (_answer(record, column) for column in _ANSWERS)
    if good[:-1] and not _has_prompt(record, chosen):
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(good[:-1], bad[:-1], strict=False)))
        prompt, good, bad = good[:shared], good[shared:], bad[shared:]
    else:
        prompt = _prompt(record, chosen)
    if not prompt:
        raise Unfit("the columns chosen and rejected begin with no turn in common, and there is no prompt")
    return {"prompt": plain(prompt), "chosen": plain(good), "rejected": plain(bad), **_margin(record)}


def unpaired(record: Record, chosen: Chosen) -> Sequence[Row]:
    """`prompt`, `completion` and `label`, one row; of a record with `chosen` and `rejected` two."""
    if all(record.get(column) is not None for column in _ANSWERS):
        row = preference(record, chosen)
        return _both(row)
    return [{**prompt_completion(record, chosen), "label": _label(record)}]


def unpaired_conversational(record: Record, chosen: Chosen) -> Sequence[Row]:
    """The same with turns in `prompt` and `completion`."""
    if all(record.get(column) is not None for column in _ANSWERS):
        return _both(preference_conversational(record, chosen))
    return [{**prompt_completion_conversational(record, chosen), "label": _label(record)}]


def from_text(columns: Columns) -> Columns:
    """The same columns, `text` looked at."""
    return _checked(columns, ("text",), str, "a text")


def from_prompt_completion(columns: Columns) -> Columns:
    """The same columns, `prompt` and `completion` looked at."""
    return _checked(columns, ("prompt", "completion"), (str, list), "a text or turns")


def from_preference(columns: Columns) -> Columns:
    """The same columns, `chosen` and `rejected` looked at; a margin that is null is none."""
    found = _checked(columns, _ANSWERS, (str, list), "a text or turns")
    return {name: value for name, value in found.items() if value is not None or name != "margin"}


def from_unpaired(columns: Columns) -> Columns:
    """The same columns, all three of the type looked at."""
    return _checked(from_prompt_completion(columns), ("label",), bool, "true or false")


def _checked(columns: Columns, names: Sequence[str], types: type | tuple[type, ...], allowed: str) -> Columns:
    for name in names:
        if not isinstance(columns.get(name), types):
            raise Unfit(f"the column {name} is {'missing' if name not in columns else f'no {allowed}'}")
    return columns


def _is_conversational(record: Record, column: str) -> bool:
    return isinstance(record.get(column), list)


def _need_text(record: Record, column: str) -> None:
    value = record.get(column)
    if isinstance(value, list):
        raise Unfit(f"the column {column} holds turns, a text is needed; choose the conversational form")
    if not isinstance(value, str):
        raise Unfit(f"the column {column} is {'no text' if value is not None else 'missing or null'}; a text is needed")


def _has_prompt(record: Record, chosen: Chosen) -> bool:
    return any(record.get(column) is not None for column in chosen.prompts())


def _prompt_column(record: Record, chosen: Chosen) -> str:
    for column in chosen.prompts():
        if record.get(column) is not None:
            return column
    raise Unfit(f"it lacks a column of what was asked, one of {', '.join(chosen.prompts())}")


def _asked(record: Record, chosen: Chosen) -> str:
    column = _prompt_column(record, chosen)
    _need_text(record, column)
    given = as_text(record.get("input")) if column == "instruction" else ""
    return f"{record[column]}\n\n{given}" if given else str(record[column])


def _prompt(record: Record, chosen: Chosen) -> Turns:
    column = _prompt_column(record, chosen)
    if _is_conversational(record, column):
        return as_turns(record[column], column)
    return (Turn("user", _asked(record, chosen)),)


def _answer(record: Record, column: str) -> Turns:
    if _is_conversational(record, column):
        turns = as_turns(record[column], column)
        if not turns or turns[-1].role != "assistant":
            raise Unfit(f"the column {column} does not end with a turn of the assistant")
        return turns
    _need_text(record, column)
    return (Turn("assistant", record[column]),)


def _margin(record: Record) -> Row:
    margin = record.get("margin")
    return {"margin": margin} if isinstance(margin, int | float) and not isinstance(margin, bool) else {}


def _label(record: Record) -> bool:
    label: Value = record.get("label")
    if isinstance(label, bool):
        return label
    raise Unfit(f"the column label is {'missing' if label is None else repr(label)}; true or false is needed")


def _both(row: Row) -> Sequence[Row]:
    return [{"prompt": row["prompt"], "completion": row[column], "label": column == "chosen"} for column in _ANSWERS]
