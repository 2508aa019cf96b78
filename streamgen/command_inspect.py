"""The command `inspect`: views for a terminal; trials also as lines and JSON, for other programs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from streamgen.errors import RecipeError

ROWS = 10


def inspect_run(
    directory: Path, what: str, rows: int | None, where: str | None, traceback: bool, best: bool, as_json: bool
) -> None:
    """Print what is wished for. Raises RecipeError for a wish that cannot be fulfilled."""
    if as_json and what != "trials":
        raise RecipeError(
            f"only trials come as JSON; for records there is: streamgen export {directory} --format jsonl"
        )
    is_view = what != "trials" or where is not None or traceback or (sys.stdout.isatty() and not as_json)
    if is_view:
        _print_view(directory, what, rows or ROWS, where, traceback, best)
    else:
        _print_trials(directory, rows, best, as_json)


def _print_view(directory: Path, what: str, rows: int, where: str | None, traceback: bool, best: bool) -> None:
    from rich.console import Console

    from streamgen.inspection import show

    Console().print(show(directory, what, rows, where=where, traceback=traceback, best=best))


def _print_trials(directory: Path, rows: int | None, best: bool, as_json: bool) -> None:
    import msgspec

    from streamgen.inspection_trials import as_lines, trial_table

    table = trial_table(directory, rows, best=best)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(table)).decode())
    else:
        for line in as_lines(table):
            click.echo(line)
