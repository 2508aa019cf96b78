"""What one ticket of the stage `labelled` asks for, and the words in which each method asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from streamgen.llm.model import Message
from streamgen.llm.prompt import compile_prompt

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "tone": ("casual", "polite", "direct"),
    "form": ("as a question", "as a command", "as a statement"),
    "length": ("in few words", "in one long sentence"),
}
OPERATIONS: Mapping[str, str] = {
    "detail": "Say the same with one more detail.",
    "specific": "Put other, more specific things in the place of those that it names.",
    "wording": "Say the same in other words.",
    "breadth": "Write another one of the same kind, about something less common.",
}
"""In depth, three ways, and in breadth: Evol-Instruct (arXiv 2304.12244), for texts of a line."""


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts, as templates. All but `system` may insert `task`, `wish` (what this ticket wants of the class) and
    `meaning` (the class as all tickets know it); `ask` also `amount`, `rewrite` also `text` and `operation`. `persona`
    and `hard` word a wish anew: with the `persona` who says it, and the meaning of the `other` class.
    """

    system: str = "You write examples. Answer with the example alone, without quotes or remarks."
    heading: str = "{{ task }} {{ wish }}:"
    ask: str = "{{ task }} {{ wish }}. Write {{ amount }}."
    persona: str = "{{ wish }}, as {{ persona }} would say it"
    hard: str = "{{ wish }}, so that it could be mistaken for: {{ other }}"
    rewrite: str = '{{ task }} {{ meaning }}, for example: "{{ text }}"\n{{ operation }}'

    def check(self) -> None:
        """Raise RecipeError for a template that has an error, ValueError for one that inserts what there is not."""
        known = {"task", "wish", "meaning"}
        insertions = {"ask": ("amount",), "persona": ("persona",), "hard": ("other",), "rewrite": ("text", "operation")}
        for name, more in {"heading": (), **insertions}.items():
            if unknown := sorted(compile_prompt(getattr(self, name)).columns - known.union(more)):
                listed = ", ".join(sorted(known.union(more)))
                raise ValueError(f"wording.{name}: it inserts {unknown[0]!r}; there is {listed}")


class Order(NamedTuple):
    """What one ticket asks for: texts of a class, in words, like these."""

    label: str
    meaning: str
    wish: str
    shots: tuple[str, ...]
    task: str = "Many different examples of"
    wording: Wording = Wording()


def list_prompt(order: Order) -> str:
    """A list of quoted seeds that breaks off behind the next opening quote.

    >>> print(list_prompt(Order("PlayMusic", "play music", "play jazz", ("put on a song",), "Ways to")))
    Ways to play music:
    "put on a song"
    <BLANKLINE>
    Ways to play jazz:
    "
    """
    first, again = _heading(order, order.meaning), _heading(order, order.wish)
    listed = "".join(f'"{shot}"\n' for shot in order.shots)
    return f'{first}\n{listed}"' if again == first else f'{first}\n{listed}\n{again}\n"'


def conversation(order: Order, n: int) -> list[Message]:
    """A conversation that asks for `n` texts, with each shot as an earlier answer."""
    turns = [Message("system", order.wording.system)]
    for shot in order.shots:
        turns += [Message("user", _ask(order, order.meaning, "one")), Message("assistant", shot)]
    return [*turns, Message("user", _ask(order, order.wish, "one more" if n == 1 else f"{n} more, one a line"))]


def rewriting(order: Order, text: str, operation: str) -> list[Message]:
    """A conversation that asks for another text in the place of this one."""
    asked = _rendered(order.wording.rewrite, order, order.wish, text=text, operation=operation)
    return [Message("system", order.wording.system), Message("user", asked)]


def reworded(order: Order, template: str, **more: str) -> Order:
    """The order with its wish in the words of `persona` or `hard`."""
    return order._replace(wish=_rendered(template, order, order.wish, **more))


def _heading(order: Order, wish: str) -> str:
    return _rendered(order.wording.heading, order, wish)


def _ask(order: Order, wish: str, amount: str) -> str:
    return _rendered(order.wording.ask, order, wish, amount=amount)


def _rendered(template: str, order: Order, wish: str, **more: str) -> str:
    return compile_prompt(template).render({"task": order.task, "meaning": order.meaning, "wish": wish, **more})
