"""`streamgen tune`: learning which settings pay, on the terminal."""

from __future__ import annotations

import sys
import tomllib
from datetime import date
from os.path import relpath
from pathlib import Path

import msgspec
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streamgen import __version__, log
from streamgen.command_run import fetch_local_models, followed
from streamgen.errors import RecipeError
from streamgen.estimate import Interval
from streamgen.files import replacing
from streamgen.inspection_view import plain
from streamgen.llm.budget import Spent
from streamgen.opening import run_async
from streamgen.present import summary_view
from streamgen.recipe import Recipe
from streamgen.report.text import cost, duration
from streamgen.summary import Summary
from streamgen.toml_text import toml_text
from streamgen.tune import Tuned, Wish, tune, tuned_recipe


def tune_recipe(recipe: Recipe, out: Path | None, wish: Wish, write: Path | None, *, as_json: bool) -> int:
    """Tune with progress on standard error and what was learned on standard output; the exit code."""
    log.configure("WARNING")
    if write is not None and write.suffix.lower() != ".toml":
        raise RecipeError(f"the tuned recipe is written in TOML: give a path that ends in .toml, not {write}")
    fetch_local_models(recipe)
    directory = out or Path("runs") / f"{recipe.name}-tune"
    found = run_async(lambda: tune(recipe, directory, wish, followed))
    if isinstance(found, Summary):
        Console().print(summary_view(found))
        return found.end.exit_code
    if write is not None:
        write_tuned(recipe, found, write)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    else:
        Console().print(tuned_view(found, write))
    return 0


def write_tuned(recipe: Recipe, found: Tuned, path: Path) -> None:
    """Write the recipe with the settings that were found, and where they come from. Raises RecipeError."""
    text = toml_text(tuned_recipe(recipe.raw, found.settings))
    learned = Path(relpath(found.directory, path.absolute().parent)).as_posix()
    again = "" if found.again.value is None else f"; run again {len(found.reruns)} times: {_said(found.again)}"
    head = (
        f"# {found.name}, tuned by streamgen {__version__} on {date.today().isoformat()}: {found.trials} trials, "
        f"{found.cost.tokens:,} tokens{again}\n"
        f"# To learn on: put the [controller] back, with warm_start = {msgspec.json.encode(learned).decode()}\n"
    )
    _check(text, path)
    with replacing(path) as partial:
        partial.write_text(head + text, encoding="utf-8")


def _check(text: str, path: Path) -> None:
    """The recipe must be one where it will lie: its relative paths start from there."""
    try:
        Recipe.parse(tomllib.loads(text), path.absolute().parent)
    except RecipeError as error:
        raise RecipeError(
            f"the tuned recipe would not work as {path}: {error}; relative paths start from where it lies: "
            "write it beside the recipe"
        ) from None


def tuned_view(found: Tuned, written: Path | None) -> RenderableType:
    """What was learned, for people."""
    rows = Table("", "reward", "", box=None, header_style="dim", pad_edge=False)
    rows.add_row("the recipe's own settings", _number(found.default), "one batch")
    if found.best is not None:
        rows.add_row("the luckiest batch", _number(found.best.value), f"trial {found.best.trial.id} of {found.trials}")
    reruns = f"{len(found.reruns)} batches, 95 % interval {_ends(found.again)}" if found.reruns else ""
    rows.add_row("what was chosen, run again", Text(_number(found.again.value), "bold green"), reruns)
    settings = Table.grid(padding=(0, 2))
    for name, value in found.settings.items():
        settings.add_row(name, Text(f"{value:.4g}" if isinstance(value, float) else plain(value, 60).plain, "bold"))
    body: list[RenderableType] = [
        rows, Text(""), settings, Text(""),
        Text(f"exploring took {_spent(found.cost)}; with the batches run again {_spent(found.total)}"),
    ]  # fmt: skip
    if found.failed:
        body.append(Text(f"{found.failed} of {found.trials} trials failed", "yellow"))
    body += [plain(note, 500, "yellow") for note in found.notes]
    body.append(Text(f"look:  streamgen inspect {found.directory} --trials", "dim"))
    if written is not None:
        body.append(Text(f"go on: streamgen run {written}", "dim"))
    return Panel(Group(*body), title=Text(f" {found.name} tuned ", "bold"), title_align="left", padding=(1, 2))


def _spent(spent: Spent) -> str:
    money = cost(spent.usd, spent.unpriced)
    return f"{spent.requests:,} calls, {spent.tokens:,} tokens, {money}, {duration(60 * spent.minutes)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _ends(interval: Interval) -> str:
    return f"{_number(interval.low)} to {_number(interval.high)}"


def _said(interval: Interval) -> str:
    return f"{_number(interval.value)} ({_ends(interval)})"
