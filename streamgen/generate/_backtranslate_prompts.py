"""The prompts of instruction back-translation: what a text could be the answer to, and how good an answer it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from streamgen.llm.model import Message
from streamgen.llm.prompt import compile_prompt
from streamgen.quality import _judge_prompts as judging

SCALE = (1, 5)
_LEVELS: Mapping[str, str] = {
    "1": "it misses what was asked for, breaks off, is vague, or is mostly advertising, page furniture or chat",
    "2": "it tells most of what was asked for, but not directly: rather how somebody went about it",
    "3": "it answers, but as a web page, a blog or a person in a forum would, not as an assistant",
    "4": "it answers as an assistant would, clearly and completely, and could be a little shorter or more to the point",
    "5": "it is just the answer that an expert assistant should give: right, complete, clear, no idle word",
}


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts, as templates: `ask` may insert the `text`. `rubric` and `levels` (by score, 1 to 5) are the judge's,
    in whose own `judge` templates they are put as the stage `judge` does.
    """

    system: str = "You find the request that a text answers. Say nothing but the request."
    ask: str = (
        "Here is an answer that an assistant gave:\n\n<answer>\n{{ text }}\n</answer>\n\n"
        "Write the request that a user made to get this answer. Name all that the user had to tell, do not repeat the "
        "answer, and say nothing else."
    )
    rubric: str = "How good an example is the text of how an assistant should answer the instruction?"
    levels: Mapping[str, str] = msgspec.field(default_factory=lambda: _LEVELS)
    judge: judging.Wording = judging.Wording()

    def check(self) -> None:
        """Raise RecipeError for a template that has an error, ValueError for one that inserts what there is not."""
        for name, known in {"system": frozenset[str](), "ask": frozenset({"text"})}.items():
            if unknown := sorted(compile_prompt(getattr(self, name)).columns - known):
                raise ValueError(f"wording.{name}: it inserts {unknown[0]!r}; there is {', '.join(known) or 'nothing'}")
        if wrong := sorted(self.levels.keys() - _LEVELS.keys()):
            raise ValueError(f"wording.levels: {wrong[0]!r} is not on the scale from 1 to 5")
        self.judge.check()


class Pair(NamedTuple):
    """An instruction, and a text that answers it."""

    instruction: str
    text: str


def asking(text: str, examples: Sequence[Pair], wording: Wording) -> list[Message]:
    """A conversation that asks for the text's instruction, with each example as an earlier one."""
    turns = [Message("system", compile_prompt(wording.system).render({}))]
    ask = compile_prompt(wording.ask)
    for example in examples:
        turns.append(Message("user", ask.render({"text": example.text})))
        turns.append(Message("assistant", example.instruction))
    return [*turns, Message("user", ask.render({"text": text}))]


def grading(pair: Pair, wording: Wording) -> list[Message]:
    """A conversation that asks how good an answer the text is."""
    texts = {"instruction": pair.instruction, "text": pair.text}
    question = judging.Question(wording.rubric, *SCALE, wording.levels, {}, texts)
    return judging.conversation(question, wording.judge)


@lru_cache(maxsize=64)
def own_words(ask: str) -> str:
    """The prompt without a text: what must not come back as an instruction."""
    return compile_prompt(ask).render({"text": ""})
