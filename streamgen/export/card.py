"""The card of a folder of data: what `datasets` reads at its head, and what a person wants to know before using it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from streamgen.export.families import FAMILY, NOTHING
from streamgen.export.formats import Format
from streamgen.export.wish import Wish
from streamgen.record import Value

if TYPE_CHECKING:
    from jinja2 import Template

    from streamgen.export.deliver import Written

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGE = "n>1M"


class File(NamedTuple):
    """A file of the folder."""

    split: str
    name: str
    records: int


def card_of_run(directory: Path, wish: Wish, format_: Format, written: Written) -> str:
    """The card of a run's records: its method, models, filters, what was done for privacy, and its limits."""
    from streamgen.report.data_card import limits_of, sections_of, stated
    from streamgen.report.facts import facts_of

    facts = facts_of(directory)
    told = {name: stated(facts, name) for name in ("description", "sources", "contact")}
    return _card(
        wish, format_, written, name=facts.name, wanted=facts.wanted, source="", sections=sections_of(facts),
        license=wish.license or stated(facts, "license"), limits=[*limits_of(facts), *_unfit(written)], **told,
    )  # fmt: skip


def card_of_file(source: Path, wish: Wish, format_: Format, written: Written) -> str:
    """The card of a converted file, of which nothing else is known."""
    from streamgen.report.data_card import MODELS_ERR

    limits = [MODELS_ERR, *_unfit(written)]
    return _card(
        wish, format_, written, name=source.name, wanted=None, source=source.name, sections=[], license=wish.license,
        limits=limits, description="", sources="", contact="",
    )  # fmt: skip


def _card(wish: Wish, format_: Format, written: Written, **told: Value) -> str:
    from streamgen import __version__

    files = [File(name.partition(".")[0], name, count) for name, count in written.files.items()]
    size = next((words for most, words in _SIZES if written.records < most), _LARGE)
    return _template().render(
        version=__version__, files=files, size=size, records=written.records, format=wish.format, holds=format_.holds,
        meta=wish.meta, order=_order(wish), **told,
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
