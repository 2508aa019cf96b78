"""`streamgen estimate`: a pilot on the terminal, and what it tells."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streamgen import log
from streamgen.command_run import fetch_local_models, followed
from streamgen.estimate import Interval
from streamgen.inspection_view import plain
from streamgen.opening import open_run, run_async, with_accept
from streamgen.pilot import Estimate, estimate
from streamgen.recipe import Recipe
from streamgen.report.text import cost, duration
from streamgen.summary import Summary


def estimate_recipe(recipe: Recipe, tickets: int, out: Path | None, accept: int | None, *, as_json: bool) -> int:
    """Run the pilot with progress on standard error and the estimate on standard output; the exit code."""
    log.configure("WARNING")
    fetch_local_models(recipe)
    recipe = with_accept(recipe, accept)
    if out is not None:
        found = estimated(recipe, tickets, out, keep=True)
    else:
        with TemporaryDirectory(prefix="streamgen-") as folder:
            found = estimated(msgspec.structs.replace(recipe, sinks=()), tickets, Path(folder), keep=False)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    else:
        Console().print(estimate_view(found))
    return 0


def estimated(recipe: Recipe, tickets: int, directory: Path, *, keep: bool) -> Estimate:
    """The estimate after a pilot of that many tickets in the directory."""

    async def work(recipe: Recipe, directory: Path) -> Summary:
        async with open_run(recipe, directory=directory, tickets=tickets) as run:
            summary = await followed(run)
            await run.finish()  # raises what ended it, where that was an error
            return summary

    return run_async(lambda: estimate(recipe, directory, work, keep=keep))


def estimate_view(found: Estimate) -> RenderableType:
    """The estimate for people."""
    whole = found.whole
    rows = Table("", "expected", "95 % interval", box=None, header_style="dim", pad_edge=False)
    for name, interval, said in (
        ("acceptance", whole.acceptance, _percent),
        ("tickets", whole.tickets, _count),
        ("requests", whole.requests, _count),
        ("tokens", whole.tokens, _count),
        ("cost", whole.usd, lambda amount: cost(amount, found.at_least)),
        ("time", whole.seconds, duration),
    ):
        rows.add_row(name, Text(_said(interval.value, said), "bold"), _ends(interval, said))
    wanted = "all rows of its source" if found.accept is None else f"{found.accept:,} records"
    title = Text.assemble((f" {found.name} ", "bold"), f" {wanted} ")
    body: list[RenderableType] = [rows, Text(""), Text(f"time is bounded by {whole.limited_by}", "dim")]
    body += [Text(""), plain(_pilot(found)), *(plain(note, style="yellow") for note in found.notes)]
    return Panel(Group(*body), title=title, title_align="left", padding=(1, 2))


def _pilot(found: Estimate) -> str:
    pilot = found.pilot
    took = (
        f"the pilot of {pilot.tickets} tickets gave {pilot.records} records and took {pilot.requests:,} requests, "
        f"{pilot.tokens:,} tokens, {cost(pilot.usd, found.at_least)}, {duration(pilot.seconds)}"
    )
    if pilot.directory is None:
        return f"{took}; its records are thrown away: --out DIR keeps them for the run"
    return f"{took}; its records are kept: streamgen run RECIPE --out {pilot.directory} goes on"


def _ends(interval: Interval, said: Callable[[float], str]) -> str:
    if interval.low is None:
        return ""
    if interval.high is None:
        return f"over {said(interval.low)}"
    return f"{said(interval.low)} to {said(interval.high)}"


def _said(number: float | None, said: Callable[[float], str]) -> str:
    return "unknown" if number is None else said(number)


def _count(number: float) -> str:
    return f"{round(number):,}"


def _percent(share: float) -> str:
    return f"{share:.1%}"
