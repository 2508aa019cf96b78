"""Labelled examples from few seeds: each ticket asks for one class, all classes in turn.

Small models are best at continuing a raw list (`list`); larger ones follow a conversation (`few_shot`). All that the
prompts of a class share stands first, so that a server's prefix cache reads it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._lines import clean_lines
from streamgen.generate._seeds import in_words, seeds_by_class
from streamgen.generate.calling import CallingSettings, sampling
from streamgen.llm.model import Message, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Record
from streamgen.settings import FilePath

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "tone": ("casual", "polite", "direct"),
    "form": ("as a question", "as a command", "as a statement"),
    "length": ("in few words", "in one long sentence"),
}
_TOKENS_A_TEXT = 48


class LabelledSettings(CallingSettings, frozen=True, kw_only=True):
    """`seeds` is a JSONL file with the columns `text` and `label`; `labels` are those of the seeds unless given.

    `task` says what the texts are, and `descriptions` what each label means, in words that follow the task: one phrase,
    or several of which each ticket draws one. `attributes` (for the method of that name) are drawn for each ticket.
    Up to `shots` seeds stand in a prompt, in the file's order; where a class has more, each ticket draws its own.
    Up to `n` texts of one answer become records. `max_tokens` is 48 a text where it is not set.
    With a `schema` of an object ("zero_shot" or "few_shot", one text an answer) its properties become columns in place
    of the text.
    """

    seeds: FilePath
    text: str = "text"
    label: str = "label"
    labels: tuple[str, ...] | None = None
    task: str = "Many different examples of"
    descriptions: Mapping[str, str | tuple[str, ...]] = {}
    method: Literal["zero_shot", "few_shot", "list", "attributes"] = "list"
    attributes: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=lambda: ATTRIBUTES)
    shots: Annotated[int, Meta(ge=1)] = 3
    n: Annotated[int, Meta(ge=1, le=50)] = 1
    seed: int | Literal["ticket"] | None = "ticket"

    def check(self) -> None:
        """Raise ValueError for labels that do not fit, RecipeError for seeds that cannot be read."""
        self.check_columns()
        if self.schema is not None and (self.method not in ("zero_shot", "few_shot") or self.n > 1):
            raise ValueError('schema: it goes with method = "zero_shot" or "few_shot", and n = 1')
        classes = seeds_by_class(self.seeds, self.text, self.label)
        labels = self.labels or tuple(classes)
        if unknown := sorted(self.descriptions.keys() - set(labels)):
            raise ValueError(f"descriptions: {unknown[0]!r} is no label; the labels are {', '.join(labels)}")
        bare = [label for label in labels if label not in classes]
        if bare and self.method != "zero_shot":
            raise ValueError(f"labels: {bare[0]!r} has no seed in {self.seeds}; only `zero_shot` does without")
        if empty := [name for name, phrases in (*self.descriptions.items(), *self.attributes.items()) if not phrases]:
            raise ValueError(f"descriptions, attributes: {empty[0]!r} has no phrase to draw from")

    def writes(self) -> frozenset[str]:
        """The text's and the label's column."""
        return frozenset({self.text, self.label}) if self.schema is None else self.properties() | {self.label}


class Order(NamedTuple):
    """What one ticket asks for: texts of a class, in words, like these."""

    label: str
    meaning: str
    wish: str
    shots: tuple[str, ...]


async def labelled(record: Record, context: Context[LabelledSettings]) -> Result:
    """Records with a new text and its label. Drops: empty, cut, echo, not_an_example (the first text's reason)."""
    settings = context.settings
    order = draw(settings, context.ticket, context.rng)
    if settings.schema is not None:
        return await _structured(record, order, context)
    try:
        response = await _ask(order, context)
    except CallError as error:
        if error.kind is Kind.EMPTY:
            return Drop("empty")
        raise
    known = (*seeds_by_class(settings.seeds, settings.text, settings.label).get(order.label, ()), order.meaning)
    label = in_words(order.label)
    cleaned = clean_lines(response.text, label=label, known=known, cut=response.finish_reason == "length")
    columns = [{settings.text: text, settings.label: order.label} for text in cleaned.texts[: settings.n]]
    if not columns:
        return Drop(cleaned.reasons[0])
    return record.with_columns(columns[0]) if settings.n == 1 else [record.with_columns(each) for each in columns]


async def _structured(record: Record, order: Order, context: Context[LabelledSettings]) -> Result:
    settings = context.settings
    assert settings.schema is not None
    shots = order.shots if settings.method == "few_shot" else ()
    listed = "".join(f"\n- {shot}" for shot in shots)
    prompt = f"{settings.task} {order.wish}. Write one, as JSON.{' Such as:' if shots else ''}{listed}"
    answer = await context.structured(settings.model, prompt, settings.schema, **sampling(context))
    return record.with_columns({**answer.value, settings.label: order.label})


def draw(settings: LabelledSettings, ticket: int, rng: Random) -> Order:
    """The ticket's order: the classes take turns, all else is drawn by the ticket's generator."""
    classes = seeds_by_class(settings.seeds, settings.text, settings.label)
    labels = settings.labels or tuple(classes)
    label = labels[ticket % len(labels)]
    phrases = settings.descriptions.get(label, in_words(label))
    meaning, *others = (phrases,) if isinstance(phrases, str) else phrases
    wish = rng.choice([meaning, *others])
    if settings.method == "attributes":
        wish = ", ".join([wish, *(rng.choice(values) for values in settings.attributes.values())])
    return Order(label, meaning, wish, _shots(classes.get(label, ()), settings.shots, rng))


def _shots(seeds: tuple[str, ...], shots: int, rng: Random) -> tuple[str, ...]:
    return seeds if len(seeds) <= shots else tuple(rng.sample(seeds, shots))


async def _ask(order: Order, context: Context[LabelledSettings]) -> Response:
    settings = context.settings
    defaults = {"max_tokens": _TOKENS_A_TEXT * settings.n}
    if settings.method in ("list", "attributes"):
        stop = ("\n",) if settings.n == 1 else ("\n\n",)
        prompt = list_prompt(order, settings.task)
        response = await context.complete(settings.model, prompt, **{"stop": stop, **defaults, **sampling(context)})
        return msgspec.structs.replace(response, text=f'"{response.text}')  # the prompt ends with the opening quote
    shots = order.shots if settings.method == "few_shot" else ()
    messages = conversation(order, settings.task, shots, settings.n)
    return await context.chat(settings.model, messages, **{**defaults, **sampling(context)})


def list_prompt(order: Order, task: str) -> str:
    """A list of quoted seeds that breaks off behind the next opening quote.

    >>> print(list_prompt(Order("PlayMusic", "play music", "play jazz", ("put on a song",)), "Ways to"))
    Ways to play music:
    "put on a song"
    <BLANKLINE>
    Ways to play jazz:
    "
    """
    listed = "".join(f'"{shot}"\n' for shot in order.shots)
    again = f"\n{task} {order.wish}:\n" if order.wish != order.meaning else ""
    return f'{task} {order.meaning}:\n{listed}{again}"'


def conversation(order: Order, task: str, shots: tuple[str, ...], n: int) -> list[Message]:
    """A conversation that asks for `n` texts, with each shot as an earlier answer."""
    turns = [Message("system", "You write examples. Answer with the example alone, without quotes or remarks.")]
    for shot in shots:
        turns += [Message("user", f"{task} {order.meaning}. Write one."), Message("assistant", shot)]
    number = "one more" if n == 1 else f"{n} more, one a line"
    return [*turns, Message("user", f"{task} {order.wish}. Write {number}.")]
