"""How chat models write turns down: what stands before a user's turn, an assistant's, and behind each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from streamgen.llm.model import Message

FormName: TypeAlias = Literal["chatml", "llama3", "gemma", "phi3"]
_Mark: TypeAlias = Annotated[str, Meta(min_length=1)]


class ChatForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What opens a turn of each role, what ends it, and the white space between turns.

    The mark for the begin of a text is left out: servers put it there by themselves. Models without a turn for the
    system have none here.
    """

    user: _Mark
    assistant: _Mark
    end: _Mark
    system: str | None = None
    between: str = ""

    def opened(self, messages: Iterable[Message], role: Literal["user", "assistant"]) -> str:
        r"""The raw prompt of these turns, with one of `role` begun.

        >>> FORMS["gemma"].opened([Message("user", "Hi")], "assistant")
        '<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n'
        """
        opens = {"system": self.system or "", "user": self.user, "assistant": self.assistant}
        turns = [f"{opens[turn.role]}{turn.content}{self.end}{self.between}" for turn in messages]
        return "".join(turns) + opens[role]

    def marks(self) -> tuple[str, ...]:
        """What can stand in no turn's text."""
        return tuple({mark.strip() for mark in (self.user, self.assistant, self.end, self.system or self.end)} - {""})


FORMS: Mapping[str, ChatForm] = {
    "chatml": ChatForm(
        user="<|im_start|>user\n",
        assistant="<|im_start|>assistant\n",
        system="<|im_start|>system\n",
        end="<|im_end|>",
        between="\n",
    ),
    "llama3": ChatForm(
        user="<|start_header_id|>user<|end_header_id|>\n\n",
        assistant="<|start_header_id|>assistant<|end_header_id|>\n\n",
        system="<|start_header_id|>system<|end_header_id|>\n\n",
        end="<|eot_id|>",
    ),
    "gemma": ChatForm(
        user="<start_of_turn>user\n", assistant="<start_of_turn>model\n", end="<end_of_turn>", between="\n"
    ),
    "phi3": ChatForm(
        user="<|user|>\n", assistant="<|assistant|>\n", system="<|system|>\n", end="<|end|>", between="\n"
    ),
}
