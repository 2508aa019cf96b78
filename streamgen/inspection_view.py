"""What `streamgen inspect` shows: tables for a terminal. Texts of the data are shown as they are, never as markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streamgen.errors import RecipeError, UnknownName
from streamgen.inspection import LetterRow, RecordRow, drops, letters, records, sessions, spends
from streamgen.inspection_trials import as_table, trial_table
from streamgen.llm.spend import Spend, total
from streamgen.record import Value
from streamgen.report.text import cost

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # an escape sequence in the data would steer the terminal
_LONG = 2000


class Wish(NamedTuple):
    """How many rows, which records, whether letters come with tracebacks, and whether the best trials are meant."""

    limit: int
    where: str | None = None
    traceback: bool = False
    best: bool = False


def view(directory: Path, what: str, wish: Wish) -> RenderableType:
    """A renderable of what is wished for. Raises UnknownName for anything but the names in VIEWS.

    Raises RecipeError for a wish that this view cannot fulfil.
    """
    if what not in VIEWS:
        raise UnknownName("view", what, VIEWS)
    if wish.where is not None and what != "records":
        raise RecipeError(f"a filter is for records, not for {what}")
    if wish.traceback and what != "letters":
        raise RecipeError(f"tracebacks are with letters, not with {what}: streamgen inspect {directory} letters")
    if wish.best and what != "trials":
        raise RecipeError(f"the best are among trials, not {what}: streamgen inspect {directory} --trials --best")
    return VIEWS[what](directory, wish)


def plain(value: Value, limit: int = _LONG, style: str = "") -> Text:
    """A value of the data, cut at `limit` characters, with control characters made visible."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    cut = text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"
    return Text(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", cut), style)


def _records(directory: Path, wish: Wish) -> RenderableType:
    if rows := records(directory, wish.limit, where=wish.where):
        return Group(*map(record_panel, rows))
    if not (first := records(directory, 1)):
        return Text("no records yet")
    return plain(f"no records fit {wish.where}; the first one has the columns {', '.join(first[0].record.columns)}")


def record_panel(row: RecordRow) -> RenderableType:
    """One record, column by column, with where it comes from."""
    meta = row.record.meta
    story = [f"ticket {meta.ticket}", *([f"trial {meta.trial}"] if meta.trial is not None else []), *meta.models]
    return _panel(f"{row.seq}: record {row.record.id}", row.record.columns, ", ".join(story))


def _letters(directory: Path, wish: Wish) -> RenderableType:
    rows = letters(directory, wish.limit, traceback=wish.traceback)
    return Group(*map(_letter, rows)) if rows else Text("no dead letters")


def _letter(row: LetterRow) -> RenderableType:
    panel = _panel(f"stage {row.stage}, record {row.record}", row.columns, f"ticket {row.ticket}")
    head = Text.assemble(("failed: ", "bold red"), plain(row.error))
    return Group(head, panel, *([plain(row.traceback[-_LONG * 4 :], _LONG * 4, "dim")] if row.traceback else []))


def _panel(title: str, columns: Mapping[str, Value], story: str) -> Panel:
    rows = Table.grid(padding=(0, 2))
    for name, value in columns.items():
        rows.add_row(plain(name, style="bold cyan"), plain(value))
    return Panel(
        rows, title=plain(title), subtitle=plain(story), title_align="left", subtitle_align="left", border_style="dim"
    )


def _drops(directory: Path, wish: Wish) -> RenderableType:
    rows = drops(directory)
    if not rows:
        return Text("nothing was dropped")
    table = _table("stage", "reason", "records")
    for row in rows[: wish.limit]:
        table.add_row(plain(row.stage), plain(row.reason), f"{row.records:,}")
    return table


def _trials(directory: Path, wish: Wish) -> RenderableType:
    """The last trials, or the best ones."""
    return as_table(trial_table(directory, wish.limit, best=wish.best))


def costs_table(spends: Sequence[Spend]) -> Table:
    """What each stage spent on each model."""
    is_cached = any(spend.cached for spend in spends)
    rows = _table("stage", "model", "answers", "useless", *(["cached"] if is_cached else []), "tokens", "cost")
    for spend in spends:
        counts = (spend.answers, spend.useless, *([spend.cached] if is_cached else []), spend.tokens)
        money = cost(spend.usd, spend.unpriced)
        rows.add_row(plain(spend.stage), plain(spend.model), *(f"{number:,}" for number in counts), money)
    return rows


def _spend(directory: Path, wish: Wish) -> RenderableType:
    """All rows, and their sum: a stage that is not shown would cost all the same."""
    rows = spends(directory)
    if not rows:
        return Text("nothing was spent")
    return costs_table(rows if len(rows) == 1 else [*rows, total(rows, model="", stage="all")])


def _sessions(directory: Path, wish: Wish) -> RenderableType:
    rows = sessions(directory)
    if not rows:
        return Text("no session has begun")
    table = _table("session", "began", "seconds", "end", "accepted", "tickets", "failed")
    for row in rows[-wish.limit :]:
        now = row.statistics
        began = datetime.fromtimestamp(row.started).strftime("%Y-%m-%d %H:%M:%S")
        numbers = (now.accepted, now.engine.tickets_settled, now.failed)
        table.add_row(str(row.id), began, f"{row.seconds:.1f}", row.state, *(f"{number:,}" for number in numbers))
    return table


def _table(*headers: str) -> Table:
    return Table(*headers, box=None, header_style="dim", pad_edge=False)


VIEWS: Mapping[str, Callable[[Path, Wish], RenderableType]] = {
    "records": _records,
    "letters": _letters,
    "drops": _drops,
    "trials": _trials,
    "spend": _spend,
    "sessions": _sessions,
}
