"""The controller's trials as `streamgen inspect DIR --trials` shows them: a table, tab-separated lines, or JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from streamgen.control.agent import Kind, Reward
from streamgen.control.results import TrialResult
from streamgen.inspection import json_of, reading, trials_of
from streamgen.record import Value
from streamgen.report.text import number, rounded, shown, usd
from streamgen.report.trials import TrialTook, took_of

if TYPE_CHECKING:
    from rich.console import RenderableType

_STEERING = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # what would end a line or a field, or steer the terminal
_HEAD = ("trial", "kind", "rung", "reward", "se", "records", "tickets", "tokens", "usd", "settings", "note")


class TrialRow(msgspec.Struct, frozen=True, kw_only=True):
    """A trial with what it took and what it was worth. `records` are those that the reward saw.

    `reward` is None while it waits, and where it failed: then `error` says why.
    """

    id: int
    kind: Kind
    rung: int
    settings: Mapping[str, Value]
    reward: float | None
    se: float | None
    baseline: float | None
    records: int | None
    tickets: int
    tokens: int | None
    usd: float | None
    failed: bool
    partial: bool
    error: str | None
    metrics: Mapping[str, float]

    @property
    def note(self) -> str:
        """What is to be said of its reward, if anything."""
        if self.failed:
            return f"failed: {self.error or 'no reason given'}"
        if self.reward is None:
            return "waits"
        return "more tickets may follow" if self.partial else ""


class TrialTable(msgspec.Struct, frozen=True):
    """Trials, and the settings that the agent recommends."""

    trials: Sequence[TrialRow]
    recommended: Mapping[str, Value] | None


def trial_table(directory: Path, limit: int | None = None, *, best: bool = False) -> TrialTable:
    """The last `limit` trials in order, or the `best` ones by their rewards, the highest first; None: all."""
    with reading(directory) as store:
        store.read("BEGIN")  # one snapshot, while the run may go on
        results = trials_of(store)
        rows = [_row(result, took) for result, took in zip(results, took_of(store, results), strict=True)]
        recommended = json_of(store.fact("recommended") or b"null")
    if best:
        rewarded = sorted((row for row in rows if row.reward is not None), key=lambda row: -(row.reward or 0.0))
        return TrialTable(rewarded[:limit], recommended)
    return TrialTable(rows if limit is None else rows[-limit:], recommended)


def _row(result: TrialResult, took: TrialTook) -> TrialRow:
    trial, reward = result.trial, result.reward or Reward()
    return TrialRow(
        id=trial.id,
        kind=trial.kind,
        rung=trial.rung,
        settings=trial.shown,
        reward=reward.value,
        se=reward.se,
        baseline=reward.baseline,
        records=reward.n if result.reward else took.records,
        tickets=took.tickets,
        tokens=took.tokens,
        usd=took.usd if reward.cost is None else reward.cost,
        failed=result.reward is not None and reward.value is None,
        partial=reward.partial,
        error=reward.error,
        metrics=reward.metrics,
    )


def as_table(table: TrialTable) -> RenderableType:
    """For a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if not table.trials:
        return Text("no trials: the recipe has no [controller], or it has not begun")
    has_rungs = any(row.rung for row in table.trials)
    heads = ("trial", "kind", *(["rung"] if has_rungs else []), "settings", "reward", "records", "cost", "note")
    view = Table(*heads, box=None, header_style="dim", pad_edge=False)
    for row in table.trials:
        rung = [str(row.rung)] if has_rungs else []
        texts = (row.kind, *rung, "\n".join(_settings(row.settings)), _reward(row), number(row.records), _cost(row))
        view.add_row(str(row.id), *map(_plain, texts), Text(_plain(row.note), "red" if row.failed else "dim"))
    if table.recommended is None:
        return view
    chosen = Text("\n".join(["", "recommended", *(f"  {_plain(line)}" for line in _settings(table.recommended))]))
    return Group(view, chosen)


def as_lines(table: TrialTable) -> Iterator[str]:
    """For other programs: a head, a line a trial with tabs between its fields, the recommended settings."""
    yield "\t".join(_HEAD)
    for row in table.trials:
        numbers = (row.reward, row.se, row.records, row.tickets, row.tokens, row.usd)
        fields = [str(row.id), row.kind, str(row.rung), *map(_field, numbers)]
        yield "\t".join([*fields, _plain(" ".join(_settings(row.settings, "="))), _plain(row.note)])
    if table.recommended is not None:
        yield _plain(f"# recommended: {' '.join(_settings(table.recommended, '='))}")


def _field(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _settings(settings: Mapping[str, Value], sign: str = " = ") -> list[str]:
    return [f"{shown(name, 80)}{sign}{_short(value)}" for name, value in settings.items()]


def _short(value: Value) -> str:
    if isinstance(value, Mapping) and value:  # shares
        return ",".join(f"{shown(part, 40)}:{_short(share)}" for part, share in value.items())
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else shown(value, 60)


def _reward(row: TrialRow) -> str:
    if row.reward is None:
        return "-"
    return number(row.reward) + (f" ± {rounded(row.se)}" if row.se else "")


def _cost(row: TrialRow) -> str:
    """Money where it is known, else tokens."""
    if row.usd is not None and (row.usd or not row.tokens):
        return usd(row.usd)
    return "-" if row.tokens is None else f"{row.tokens:,} tokens"


def _plain(text: str) -> str:
    """The text without what would steer a terminal; line ends of our own stay."""
    return "\n".join(_STEERING.sub("\N{REPLACEMENT CHARACTER}", line) for line in text.split("\n"))
