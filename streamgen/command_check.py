"""`streamgen check`: every endpoint of a recipe, tried out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import anyio
import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamgen.errors import RecipeError
from streamgen.inspection_view import plain
from streamgen.llm.lane import Lane
from streamgen.llm.probe import CALLS, Finding, probe
from streamgen.llm.spec import ModelSpec
from streamgen.opening import run_async
from streamgen.plan import open_endpoint
from streamgen.recipe import Recipe
from streamgen.report.text import duration


class _Target(msgspec.Struct):
    lane: Lane
    wanted: str | None
    finding: Finding


def check_recipe(recipe: Recipe, timeout_s: float, *, as_json: bool) -> int:
    """Show what every endpoint of the recipe can do and what to fix; 1 where one cannot be used. Raises RecipeError."""
    if not recipe.models:
        raise RecipeError("the recipe has no models: there is nothing to check", "$.models")
    targets = list(_targets(recipe))
    what = "1 endpoint" if len(targets) == 1 else f"{len(targets)} endpoints"
    print(f"checking {what} with about {CALLS} tiny calls each, which are paid like any others", file=sys.stderr)
    run_async(lambda: _probe_all(targets, timeout_s))
    findings = [target.finding for target in targets]
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(findings), indent=2) + b"\n")
    else:
        _show(findings)
    return 0 if all(finding.is_usable for finding in findings) else 1


def _targets(recipe: Recipe) -> Iterator[_Target]:
    for name, spec in recipe.models.items():
        endpoint = open_endpoint(name, spec)
        lanes = spec.lanes if isinstance(spec, ModelSpec) else ()
        for n, lane in enumerate(endpoint.lanes):
            own = name if len(endpoint.lanes) == 1 else f"{name}[{n}]"
            is_local = isinstance(spec, ModelSpec) and spec.provider == "local"
            finding = Finding(name=own, server=lane.name.rpartition(" ")[2], priced=lane.price is not None or is_local)
            yield _Target(lane, lanes[n].model if lanes else None, finding)


async def _probe_all(targets: Sequence[_Target], timeout_s: float) -> None:
    async with anyio.create_task_group() as group:
        for target in targets:
            group.start_soon(_probe, target, timeout_s)


async def _probe(target: _Target, timeout_s: float) -> None:
    finding = target.finding
    try:
        with anyio.move_on_after(timeout_s) as limit:
            await probe(target.lane.model, finding, target.wanted, anyio.current_time)
        if limit.cancelled_caught:
            _overdue(finding, timeout_s)
    finally:
        with anyio.CancelScope(shield=True):
            await target.lane.model.aclose()


def _overdue(finding: Finding, timeout_s: float) -> None:
    if finding.seconds is not None:
        finding.notes.append(f"not everything was found out within {timeout_s:g} s (--timeout)")
        return
    finding.problem = f"no answer within {timeout_s:g} s"
    finding.fix = "check that the server works, or raise --timeout"


def _show(findings: Sequence[Finding]) -> None:
    console = Console()
    if console.is_terminal:
        console.print(table(findings))
    else:
        print("\n".join(map(line, findings)))


def table(findings: Sequence[Finding]) -> RenderableType:
    """One row an endpoint, and below them what to fix."""
    rows = Table("endpoint", "server", box=None, header_style="dim", pad_edge=False)
    for title in _COLUMNS:
        rows.add_column(title)
    below: list[RenderableType] = []
    for finding in findings:
        style = "green" if finding.is_usable else "red"
        cells = (Text(cell, "red" if cell == "no" and title in _VITAL else "") for title, cell in _cells(finding))
        rows.add_row(Text(finding.name, f"bold {style}"), finding.server, *cells)
        below += [plain(text, 1000, "" if finding.is_usable else "red") for text in remarks(finding)]
    return Group(rows, *([Text(""), *below] if below else []))


def line(finding: Finding) -> str:
    """The same in one line, for logs."""
    said = [f"{title} {cell}" for title, cell in _cells(finding) if cell]
    head = f"{finding.name} ({finding.server}): {'ok' if finding.is_usable else 'FAILED'}"
    return "; ".join([head, ", ".join(said), *(text.partition(": ")[2] for text in remarks(finding))]).rstrip("; ")


def remarks(finding: Finding) -> list[str]:
    """What is wrong, what to do about it, and what else is worth knowing."""
    said = [finding.problem or ""]
    if finding.fix and finding.fix not in said[0]:
        said.append(f"to fix it, {finding.fix}")
    return [f"{finding.name}: {text}" for text in (*said, *finding.notes) if text]


_VITAL = ("reachable", "key", "model")
_COLUMNS = (*_VITAL, "time", "structured", "logprobs", "embeddings", "streaming", "usage", "price", "limits")


def _cells(finding: Finding) -> Iterator[tuple[str, str]]:
    price = "known" if finding.priced else "unknown" if finding.is_usable else ""
    values = {
        **{name: _yes(getattr(finding, name)) for name in (*_VITAL, "logprobs", "embeddings", "streaming", "usage")},
        "time": "" if finding.seconds is None else duration(finding.seconds),
        "structured": finding.rung or "",
        "price": price,
        "limits": _limits(finding),
    }
    return ((title, values[title]) for title in _COLUMNS)


def _yes(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _limits(finding: Finding) -> str:
    """What the server told, in words: "480 of 500 requests, 30,000 tokens"."""
    told = finding.told
    if told is None:
        return ""
    pairs = {
        "requests": (told.remaining_requests, told.limit_requests),
        "tokens": (told.remaining_tokens, told.limit_tokens),
    }
    found = []
    for unit, known in pairs.items():
        if said := " of ".join(f"{number:,.0f}" for number in known if number is not None):
            found.append(f"{said} {unit}")
    return ", ".join(found)
