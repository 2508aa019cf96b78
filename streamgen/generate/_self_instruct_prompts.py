"""The prompts of Self-Instruct: for a new instruction, for its kind, and for an input and an output of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from streamgen.generate._seed_tasks import Seed, Task
from streamgen.llm.prompt import compile_prompt

Method: TypeAlias = Literal["chat", "completion"]


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts, as templates. Those that end in `_list` are continued by the method "completion".

    `new` and `new_list` may insert `tasks`, a numbered list, and `next`, the number behind it; all others `examples`
    (worked tasks, or "") and `instruction`.
    """

    new: str = (
        "Here are tasks that were given to a language model:\n{{ tasks }}\n"
        "Write one more task of another kind, which can be solved with text alone. Answer with the task only."
    )
    new_list: str = "A list of varied tasks for a language model:\n{{ tasks }}{{ next }}."
    kind: str = (
        "A classification task is one whose answer is one of a few labels.\n\n{{ examples }}Task: {{ instruction }}\n\n"
        'Is the last task a classification task? Answer with one word, "yes" or "no".'
    )
    kind_list: str = (
        "Which tasks have one of a few labels as their answer?\n\n"
        "{{ examples }}Task: {{ instruction }}\nClassification:"
    )
    input_first: str = (
        "Each task below has an input, where it needs one, and the right output.\n\n"
        "{{ examples }}Task: {{ instruction }}\n\n"
        "Complete the last task in the same form: a line `Input: ...`, or `Input: (none)`, and then `Output: ...`."
    )
    input_first_list: str = (
        "Each task with an input, where it needs one, and the right output.\n\n"
        "{{ examples }}Task: {{ instruction }}\nInput:"
    )
    output_first: str = (
        "Each classification task below has a label, and an input to which that label belongs.\n\n"
        "{{ examples }}Task: {{ instruction }}\n\n"
        "Complete the last task in the same form for each of its labels: `Label: ...`, and then `Input: ...`."
    )
    output_first_list: str = (
        "Each classification task with its labels, and an input for each label.\n\n"
        "{{ examples }}Task: {{ instruction }}\nLabel:"
    )
    structured: str = (
        "Each task below has an input, where it needs one, and the right output.\n\n"
        "{{ examples }}Task: {{ instruction }}\n\nGive what belongs to the last task, as JSON."
    )

    def check(self) -> None:
        """Raise RecipeError for a template that has an error, ValueError for one that inserts what there is not."""
        for name in self.__struct_fields__:
            known = {"tasks", "next"} if name.startswith("new") else {"examples", "instruction"}
            if unknown := sorted(compile_prompt(getattr(self, name)).columns - known):
                raise ValueError(f"wording.{name}: it inserts {unknown[0]!r}; there is {', '.join(sorted(known))}")


def instruction_prompt(wording: Wording, shown: Sequence[str], method: Method) -> str:
    """A numbered list of tasks that wants to be continued."""
    listed = "".join(f"{number}. {' '.join(text.split())}\n" for number, text in enumerate(shown, 1))
    template = wording.new if method == "chat" else wording.new_list
    return compile_prompt(template).render({"tasks": listed, "next": len(shown) + 1})


def kind_prompt(wording: Wording, examples: Sequence[Seed], instruction: str, method: Method) -> str:
    """Tasks of both kinds with the answer, and the one that is asked about."""
    shown = "".join(
        f"Task: {seed.task.instruction}\nClassification: {'yes' if seed.is_classification else 'no'}\n\n"
        for seed in examples
    )
    return _filled(wording.kind if method == "chat" else wording.kind_list, shown, instruction)


def input_first_prompt(wording: Wording, examples: Sequence[Task], instruction: str, method: Method) -> str:
    """Worked tasks, and the new one without its input and output."""
    template = wording.input_first if method == "chat" else wording.input_first_list
    return _filled(template, _worked(examples), instruction)


def output_first_prompt(wording: Wording, examples: Sequence[Task], instruction: str, method: Method) -> str:
    """Worked classification tasks with the label in front of the input, and the new one."""
    shown = "".join(
        f"Task: {task.instruction}\nLabel: {' '.join(task.output.split())}\nInput: {task.input or '(none)'}\n\n"
        for task in examples
    )
    return _filled(wording.output_first if method == "chat" else wording.output_first_list, shown, instruction)


def structured_prompt(wording: Wording, examples: Sequence[Task], instruction: str) -> str:
    """Worked tasks, and the new one, to be answered as JSON."""
    return _filled(wording.structured, _worked(examples), instruction)


def _worked(examples: Sequence[Task]) -> str:
    return "".join(
        f"Task: {task.instruction}\nInput: {task.input or '(none)'}\nOutput: {task.output}\n\n" for task in examples
    )


def _filled(template: str, examples: str, instruction: str) -> str:
    return compile_prompt(template).render({"examples": examples, "instruction": instruction})
