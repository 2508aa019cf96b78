"""What somebody wants to know before using the data: method, models, filters, privacy, licence, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from streamgen.record import Value
from streamgen.registry import BUILTIN
from streamgen.report.facts import Facts, StageFacts

MODELS_ERR = (
    "The texts are written by models: what they state can be wrong, biased or out of date, and no person has checked "
    "it unless that is said above."
)
_LIMITS = (
    MODELS_ERR,
    "Filters judge by the rules above only; what they let through is neither safe nor right for that reason.",
)
_PRIVATE = "What is private was looked for by patterns and rules; some of it can have been missed."
_NOT_PRIVATE = "Nothing was done to find or remove private data."


class Section(NamedTuple):
    """A part of the card: a table, and a text below it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    text: str = ""


def stated(facts: Facts, name: str) -> str:
    """What the recipe's `[card]` states: its `description`, `sources`, `license` or `contact`; "" where it does not."""
    card = facts.recipe.get("card") if isinstance(facts.recipe, dict) else None
    return str(card.get(name, "")) if isinstance(card, dict) else ""


def limits_of(facts: Facts) -> list[str]:
    """What the data is not."""
    left = [f"{facts.letters} records failed and are not among these."] if facts.letters else []
    unfinished = [f"The run has not come to its end: {facts.message}"] if facts.state != "done" else []
    return [*_LIMITS, *left, *unfinished]


def sections_of(facts: Facts) -> list[Section]:
    """How the data was made, by which models, what filters took out, and what was done for privacy."""
    recipe: Mapping[str, Value] = facts.recipe if isinstance(facts.recipe, dict) else {}
    stages = [
        (stage.name, stage.type, stage.received, stage.passed, stage.dropped, stage.failed) for stage in facts.stages
    ]
    private = [(stage.name, stage.type) for stage in facts.stages if _box(stage) == "privacy"]
    return [
        Section("Method", ("stage", "type", "received", "passed", "dropped", "failed"), stages, _seed(recipe)),
        Section("Models", ("name", "model", "where"), _models(recipe), "" if recipe.get("models") else "None."),
        Section("Filters", ("stage", "reason", "dropped"), _drops(facts), "" if _drops(facts) else "Nothing dropped."),
        Section("Privacy", ("stage", "type"), private, _PRIVATE if private else _NOT_PRIVATE),
    ]  # fmt: skip


def _seed(recipe: Mapping[str, Value]) -> str:
    return f"\nSeed {recipe.get('seed', 0)}."


def _models(recipe: Mapping[str, Value]) -> list[tuple[str, str, str]]:
    models = recipe.get("models") or {}
    return [(name, str(model.get("model", "")), where_of(model)) for name, model in models.items()]


def where_of(model: Mapping[str, Value]) -> str:
    """The server's name alone: an address may hold a key."""
    return urlsplit(str(model.get("base_url", ""))).hostname or str(model.get("provider", ""))


def _drops(facts: Facts) -> list[tuple[str, str, int]]:
    return [(drop.stage, drop.reason, drop.records) for stage in facts.stages for drop in stage.drops]


def _box(stage: StageFacts) -> str:
    """The folder of streamgen that the stage's type stands in; "" for a user's own."""
    parts = BUILTIN["stages"].get(stage.type, "").split(".")
    return parts[1] if len(parts) > 1 else ""
