"""Labelled examples from few seeds: each ticket asks for one class, all classes in turn.

Which method is best depends on task and model: small models often continue a raw list better than they converse. So
the method is a setting like any other, which a controller may choose. All that the prompts of a class share stands
first, so that a server's prefix cache reads it once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from random import Random

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._labelled_prompts import Order, conversation, list_prompt, reworded, rewriting
from streamgen.generate._lines import Cleaned, clean_lines
from streamgen.generate._personas import personas_of
from streamgen.generate._quotas import mixed
from streamgen.generate._seeds import in_words, seeds_by_class
from streamgen.generate.calling import answered, sampling
from streamgen.generate.labelled_settings import WITHOUT_SEEDS, LabelledSettings, Weights
from streamgen.llm.model import Response
from streamgen.record import Record

__all__ = ["LabelledSettings", "draw", "labelled"]

_TOKENS_A_TEXT = 48
_LISTS = frozenset({"list", "attribute_list"})
_ATTRIBUTED = frozenset({"attribute_list", "attribute_chat"})


async def labelled(record: Record, context: Context[LabelledSettings]) -> Result:
    """Records with a new text and its label. Drops: empty, cut, echo, not_an_example (the first text's reason)."""
    settings = context.settings
    method = settings.method if isinstance(settings.method, str) else _drawn(settings.method, context.rng)
    label = record.columns.get(settings.label) if method == "evolve" else None
    order = draw(settings, context.ticket, context.rng, method, str(label or ""))
    if settings.schema is not None:
        return await _structured(record, order, context)
    if method == "evolve":
        return await _evolved(record, order, context)
    cleaned = await (_listed if method in _LISTS else _told)(order, context)
    columns = [{settings.text: text, settings.label: order.label} for text in cleaned.texts[: settings.n]]
    if not columns:
        return Drop(cleaned.reasons[0])
    return record.with_columns(columns[0]) if settings.n == 1 else [record.with_columns(each) for each in columns]


def draw(settings: LabelledSettings, ticket: int, rng: Random, method: str = "list", label: str = "") -> Order:
    """The ticket's order: classes take turns where none is given, all else is drawn by the ticket's generator."""
    seeds = seeds_by_class(settings.seeds, settings.text, settings.label)
    labels = settings.labels or tuple(seeds)
    label = label or _turn(settings, labels, ticket, rng)
    meaning, *others = _phrases(settings, label)
    wish = rng.choice([meaning, *others])
    if method in _ATTRIBUTED:
        wish = ", ".join([wish, *_attributes(settings, label, rng)])
    shots = () if method in WITHOUT_SEEDS else _shots(seeds.get(label, ()), settings.shots, rng)
    return _deepened(Order(label, meaning, wish, shots, settings.task, settings.wording), settings, labels, rng)


def _turn(settings: LabelledSettings, labels: Sequence[str], ticket: int, rng: Random) -> str:
    if settings.quotas is not None:
        return mixed(settings.quotas, ticket)
    return labels[ticket % len(labels)] if settings.classes is None else _drawn(settings.classes, rng)


def _deepened(order: Order, settings: LabelledSettings, labels: Sequence[str], rng: Random) -> Order:
    """The order for a text near another class, and as a persona would say it, where these are wished for."""
    if settings.hard and rng.random() < settings.hard:
        other = rng.choice([label for label in labels if label != order.label])
        order = reworded(order, settings.wording.hard, other=_phrases(settings, other)[0])
    if settings.personas:
        order = reworded(order, settings.wording.persona, persona=rng.choice(personas_of(settings.personas)))
    return order


def _phrases(settings: LabelledSettings, label: str) -> tuple[str, ...]:
    phrases = settings.descriptions.get(label, in_words(label))
    return (phrases,) if isinstance(phrases, str) else phrases


def _attributes(settings: LabelledSettings, label: str, rng: Random) -> list[str]:
    drawn_from = settings.attributes.values()
    return [rng.choice(values if isinstance(values, tuple) else values[label]) for values in drawn_from]


def _shots(seeds: tuple[str, ...], shots: int, rng: Random) -> tuple[str, ...]:
    return seeds if len(seeds) <= shots else tuple(rng.sample(seeds, shots))


def _drawn(weights: Weights, rng: Random) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


async def _listed(order: Order, context: Context[LabelledSettings]) -> Cleaned:
    settings = context.settings
    defaults = {"stop": ("\n",) if settings.n == 1 else ("\n\n",), "max_tokens": _TOKENS_A_TEXT * settings.n}
    asked = context.complete(settings.model, list_prompt(order), **{**defaults, **sampling(context)})
    return await _cleaned(asked, order, context, quoted=True)


async def _told(order: Order, context: Context[LabelledSettings]) -> Cleaned:
    settings = context.settings
    parameters = {"max_tokens": _TOKENS_A_TEXT * settings.n, **sampling(context)}
    return await _cleaned(context.chat(settings.model, conversation(order, settings.n), **parameters), order, context)


async def _evolved(record: Record, order: Order, context: Context[LabelledSettings]) -> Result:
    """The text after the last step that gave another one; a drop where none did."""
    settings = context.settings
    text = str(record.columns.get(settings.text) or "") or context.rng.choice(order.shots)
    reasons: list[str] = []
    for _ in range(settings.depth):
        operation = context.rng.choice(list(settings.operations.values()))
        parameters = {"max_tokens": _TOKENS_A_TEXT, **sampling(context)}
        asked = context.chat(settings.model, rewriting(order, text, operation), **parameters)
        cleaned = await _cleaned(asked, order, context, text)
        text = cleaned.texts[0] if cleaned.texts else text
        reasons += cleaned.reasons[:1] if not cleaned.texts else []
    if len(reasons) == settings.depth:
        return Drop(reasons[0])
    return record.with_columns({settings.text: text, settings.label: order.label})


async def _structured(record: Record, order: Order, context: Context[LabelledSettings]) -> Result:
    settings = context.settings
    assert settings.schema is not None
    listed = "".join(f"\n- {shot}" for shot in order.shots)
    prompt = f"{settings.task} {order.wish}. Write one, as JSON.{' Such as:' if listed else ''}{listed}"
    answer = await context.structured(settings.model, prompt, settings.schema, **sampling(context))
    return record.with_columns({**answer.value, settings.label: order.label})


async def _cleaned(
    asked: Awaitable[Response], order: Order, context: Context[LabelledSettings], *shown: str, quoted: bool = False
) -> Cleaned:
    """The texts of the answer, without those that the prompt showed. `quoted`: the prompt ended with a quote."""
    settings = context.settings
    response = await answered(asked)
    seeds = seeds_by_class(settings.seeds, settings.text, settings.label).get(order.label, ())
    text = f'"{response.text}' if quoted and response.text else response.text
    is_cut = response.finish_reason == "length"
    return clean_lines(text, label=in_words(order.label), known=(*seeds, order.meaning, *shown), cut=is_cut)
