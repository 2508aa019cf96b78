"""The card of a folder of data: what `datasets` reads at its head, and what a person wants to know before using it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec

from streamgen.export.families import FAMILY, NOTHING
from streamgen.export.formats import Format
from streamgen.export.wish import Wish
from streamgen.record import Value
from streamgen.registry import BUILTIN

if TYPE_CHECKING:
    from jinja2 import Template

    from streamgen.export.deliver import Written
    from streamgen.report.facts import Facts, StageFacts

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGE = "n>1M"
_LIMITS = (
    "The texts are written by models: what they state can be wrong, biased or out of date, and no person has checked "
    "it unless that is said above.",
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


class File(NamedTuple):
    """A file of the folder."""

    split: str
    name: str
    records: int


def card_of_run(directory: Path, wish: Wish, format_: Format, written: Written) -> str:
    """The card of a run's records: its method, models, filters, what was done for privacy, and its limits."""
    from streamgen.report.facts import facts_of

    facts = facts_of(directory)
    left = (f"{facts.letters} records failed and are not among these.",) if facts.letters else ()
    unfinished = (f"The run has not come to its end: {facts.message}",) if facts.state != "done" else ()
    return _card(
        wish, format_, written, name=facts.name, wanted=facts.wanted, source="", sections=_sections(facts),
        limits=[*_LIMITS, *left, *unfinished, *_unfit(written)],
    )  # fmt: skip


def card_of_file(source: Path, wish: Wish, format_: Format, written: Written) -> str:
    """The card of a converted file, of which nothing else is known."""
    limits = [*_LIMITS[:1], *_unfit(written)]
    return _card(wish, format_, written, name=source.name, wanted=None, source=source.name, sections=[], limits=limits)


def _card(wish: Wish, format_: Format, written: Written, **told: Value) -> str:
    from streamgen import __version__

    files = [File(name.partition(".")[0], name, count) for name, count in written.files.items()]
    size = next((words for most, words in _SIZES if written.records < most), _LARGE)
    return _template().render(
        version=__version__, files=files, size=size, records=written.records, format=wish.format, holds=format_.holds,
        meta=wish.meta, license=wish.license, order=_order(wish), **told,
    )  # fmt: skip


def _order(wish: Wish) -> str:
    order = wish.order
    sentences = []
    if order.shares:
        shares = ", ".join(f"{name} {float(share):g}" for name, share in order.shares.items())
        sentences.append(f"Split by the shares {shares}, seed {order.seed}.")
        sentences += [f"Each value of `{order.stratify}` is divided alike."] if order.stratify else []
        sentences += _GROUPED.get(order.group_by, [f"{_WHOLE} So do those with the same `{order.group_by}`."])
    if order.shuffle:
        sentences.append(f"Shuffled, seed {order.seed}.")
    return " ".join(sentences)


_WHOLE = "Records of one ticket, or with a parent in common, stand in the same split."
_GROUPED: Mapping[str, list[str]] = {FAMILY: [_WHOLE], NOTHING: []}


def _unfit(written: Written) -> Sequence[str]:
    return [f"{written.left_out.records} records did not fit the format."] if written.left_out else []


def _sections(facts: Facts) -> list[Section]:
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
    return [(name, str(model.get("model", "")), _where(model)) for name, model in models.items()]


def _where(model: Mapping[str, Value]) -> str:
    """The server's name alone: an address may hold a key."""
    return urlsplit(str(model.get("base_url", ""))).hostname or str(model.get("type", ""))


def _drops(facts: Facts) -> list[tuple[str, str, int]]:
    return [(drop.stage, drop.reason, drop.records) for stage in facts.stages for drop in stage.drops]


def _box(stage: StageFacts) -> str:
    """The folder of streamgen that the stage's type stands in; "" for a user's own."""
    parts = BUILTIN["stages"].get(stage.type, "").split(".")
    return parts[1] if len(parts) > 1 else ""


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("streamgen", "export"),
        autoescape=False,  # Markdown; what comes from outside goes through `json` and `cell`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"json": lambda value: msgspec.json.encode(value).decode(), "cell": _cell}
    return environment.get_template("card.md")


def _cell(value: Value) -> str:
    """A value in a table: on one line, and no mark of Markdown's or HTML's own in it.

    >>> _cell("a|b <c>")
    'a&#124;b &lt;c>'
    """
    return " ".join(str(value).replace("&", "&amp;").replace("|", "&#124;").replace("<", "&lt;").split())
