"""The prompts of Evol-Instruct: five ways to make a task harder, one to make another, and a question of gain."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec

from streamgen.llm.prompt import compile_prompt

Operation: TypeAlias = Literal["constraints", "deepen", "concretise", "reasoning", "complicate_input", "breadth"]


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts, as templates. `rewrite` may insert `how` (the text of its operation) and `instruction`, `breadth`
    the `instruction`, and `judge` also `evolved`.
    """

    rewrite: str = (
        "Make the task below somewhat harder for a capable AI system, in this way:\n{{ how }}\n"
        "People must still understand it and be able to answer it. Keep everything that it gives: data, tables, code. "
        "Add at most 20 words, apart from input data. Answer with the new version only.\n\n"
        "[TASK]\n{{ instruction }}\n\n[NEW VERSION]"
    )
    breadth: str = (
        "Take the task below as an inspiration for an entirely new one, in the same field but about something less "
        "common, about as long and as hard. People must be able to understand and answer it. "
        "Answer with the new task only.\n\n[TASK]\n{{ instruction }}\n\n[NEW TASK]"
    )
    judge: str = (
        "Do these two tasks ask for the same, with the same requirements and as deeply?\n\n"
        "[FIRST]\n{{ instruction }}\n\n[SECOND]\n{{ evolved }}\n\n"
        'Answer with one word, "same" or "different".'
    )
    constraints: str = "Add one more requirement or limit that the answer must respect."
    deepen: str = "Where it asks about something, ask about it more deeply and more widely."
    concretise: str = "Put specific things in the place of general ones."
    reasoning: str = "Where a short thought is enough to solve it, make it need several steps of reasoning."
    complicate_input: str = (
        "Add input data that the answer must use: a table, code, JSON, a formula or a passage of text."
    )

    def check(self) -> None:
        """Raise RecipeError for a template that has an error, ValueError for one that inserts what there is not."""
        for name, known in {
            "rewrite": {"how", "instruction"},
            "breadth": {"instruction"},
            "judge": {"instruction", "evolved"},
        }.items():
            if unknown := sorted(compile_prompt(getattr(self, name)).columns - known):
                raise ValueError(f"wording.{name}: it inserts {unknown[0]!r}; there is {', '.join(sorted(known))}")


def evolving_prompt(wording: Wording, operation: Operation, instruction: str) -> str:
    """What the model is asked for one operation."""
    if operation == "breadth":
        return compile_prompt(wording.breadth).render({"instruction": instruction})
    how: str = getattr(wording, operation)
    return compile_prompt(wording.rewrite).render({"how": how, "instruction": instruction})


def judging_prompt(wording: Wording, instruction: str, evolved: str) -> str:
    """What the model is asked to see whether anything was gained."""
    return compile_prompt(wording.judge).render({"instruction": instruction, "evolved": evolved})


@lru_cache(maxsize=64)
def own_words(wording: Wording, operation: Operation) -> str:
    """The prompt of an operation without any task: what must not come back in an answer."""
    return evolving_prompt(wording, operation, "")
