"""The prompts of rewriting: operations that change how a text is said, translations, and a question of its label."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec

from streamgen.llm.model import Message
from streamgen.llm.prompt import compile_prompt
from streamgen.record import Value

Operation: TypeAlias = Literal["paraphrase", "pivot", "style", "register", "expand", "compress"]

_INSERTED: Mapping[str, frozenset[str]] = {
    "rewrite": frozenset({"how", "text"}),
    "translate": frozenset({"language", "text"}),
    "native": frozenset({"language", "text"}),
    "classify": frozenset({"labels", "text"}),
    "style": frozenset({"style"}),
    "register": frozenset({"style"}),
    **dict.fromkeys(("system", "paraphrase", "expand", "compress"), frozenset[str]()),
}


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts, as templates. `rewrite` may insert `how` (the text of its operation) and `text`, `style` and
    `register` the `style` that was drawn, `translate` and `native` the `language` and `text`, `classify` `labels` and
    `text`.
    """

    system: str = "You rewrite texts. Answer with the new text alone, without quotes or remarks."
    rewrite: str = "{{ how }}\n\n{{ text }}"
    paraphrase: str = "Say the following in other words. Keep what it means and about how long it is."
    style: str = "Write the following again in this style: {{ style }}. Keep what it means."
    register: str = "Write the following again in {{ style }} language. Keep what it means."
    expand: str = "Make the following longer with fitting details. Keep what it means."
    compress: str = "Make the following shorter. Keep what it means."
    translate: str = "Translate the following into {{ language }}. Keep names and numbers.\n\n{{ text }}"
    native: str = (
        "Write a text in {{ language }} of the same kind, length and intention as the following, as somebody who grew "
        "up with that language would write it. Do not translate: use names, places and habits of its speakers."
        "\n\n{{ text }}"
    )
    classify: str = (
        "Which of these labels fits the text best: {{ labels | join(', ') }}?\n\n<text>\n{{ text }}\n</text>"
    )

    def check(self) -> None:
        """Raise RecipeError for a template that has an error, ValueError for one that inserts what there is not."""
        for name, known in _INSERTED.items():
            if unknown := sorted(compile_prompt(getattr(self, name)).columns - known):
                listed = ", ".join(sorted(known)) or "nothing"
                raise ValueError(f"wording.{name}: it inserts {unknown[0]!r}; there is {listed}")


def rewriting(wording: Wording, operation: Operation, style: str, text: str) -> list[Message]:
    """A conversation that asks for the text in another form."""
    how = compile_prompt(getattr(wording, operation)).render({"style": style})
    return _conversation(wording, "rewrite", {"how": how, "text": text})


def translating(wording: Wording, method: Literal["translate", "native"], language: str, text: str) -> list[Message]:
    """A conversation that asks for the text in another language."""
    return _conversation(wording, method, {"language": language, "text": text})


def classifying(wording: Wording, labels: tuple[str, ...], text: str) -> list[Message]:
    """A conversation that asks for a text's label."""
    return [Message("user", compile_prompt(wording.classify).render({"labels": labels, "text": text}))]


@lru_cache(maxsize=64)  # the same object each time: what is made of a schema is kept by its identity
def label_schema(labels: tuple[str, ...]) -> Mapping[str, Value]:
    """An object with one of the labels."""
    return {
        "type": "object",
        "properties": {"label": {"enum": list(labels)}},
        "required": ["label"],
        "additionalProperties": False,
    }


def _conversation(wording: Wording, template: str, values: Mapping[str, str]) -> list[Message]:
    asked = compile_prompt(getattr(wording, template)).render(values)
    return [Message("system", compile_prompt(wording.system).render({})), Message("user", asked)]
