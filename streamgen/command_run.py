"""`streamgen run`, `validate`, `preview` and `init`: a recipe on the terminal."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import anyio
import msgspec
from rich.console import Console

from streamgen import log
from streamgen.errors import RecipeError, StreamgenError
from streamgen.files import replacing
from streamgen.functions import find_function
from streamgen.inspection import RecordRow
from streamgen.inspection_view import record_panel
from streamgen.llm.spec import ModelSpec
from streamgen.opening import open_run, run_async
from streamgen.plan import make_plan
from streamgen.present import Progress, summary_view
from streamgen.recipe import Recipe
from streamgen.record import Record
from streamgen.runs import Run
from streamgen.summary import Summary


def run_recipe(recipe: Recipe, out: Path | None, accept: int | None, *, as_json: bool, verbose: bool) -> int:
    """Run the recipe with progress on standard error and the summary on standard output; the exit code."""
    log.configure("DEBUG" if verbose else "WARNING")
    fetch_local_models(recipe)
    directory = out or Path("runs") / recipe.name

    async def main() -> Summary:
        async with open_run(recipe, directory=directory, accept=accept) as run:
            return await followed(run)

    summary = run_async(main)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    else:
        console = Console()
        console.print(summary_view(summary))
        if recipe.finish and summary.end.reason == "done":
            console.print(_finish(recipe, directory))
    return summary.end.exit_code


def preview_recipe(recipe: Recipe, number: int) -> int:
    """Show a few records of the recipe and keep nothing; the exit code."""
    log.configure("WARNING")
    fetch_local_models(recipe)
    run_spec = msgspec.structs.replace(recipe.run, accept=number, tickets_in_flight=2 * number)
    small = msgspec.structs.replace(recipe, run=run_spec, sinks=(), controller=None)
    records: list[Record] = []

    async def main() -> Summary:
        async with open_run(small) as run:
            async with anyio.create_task_group() as company:
                company.start_soon(_obey_signals, run)
                with suppress(StreamgenError):  # the summary tells it
                    records.extend([record async for record in run])
                company.cancel_scope.cancel()
            return run.summary()

    summary = run_async(main)
    console = Console()
    for place, record in enumerate(records, 1):
        console.print(record_panel(RecordRow(place, record)))
    console.print(summary_view(summary))
    return summary.end.exit_code


def describe(recipe: Recipe) -> str:
    """What the checked recipe would do, in a few lines. Raises RecipeError where it could not run."""
    plan = make_plan(recipe)
    lines = [f"{recipe.name}: the recipe is fine"]
    for stage in plan.graph.stages:
        kind = next(spec.type for spec in recipe.stages if spec.name == stage.name)
        lines.append(f"  {', '.join(stage.inputs)} -> {stage.name} ({kind}, {stage.parallel} at once)")
    wanted = recipe.run.accept
    lines.append(
        f"  accepts {wanted if wanted is not None else 'all'} records, {plan.tickets_in_flight} tickets in flight"
    )
    return "\n".join(lines)


def write_first_recipe(path: Path, overwrite: bool) -> str:
    """Write the commented recipe that everybody starts from; what to do next. Raises RecipeError where a file is."""
    if path.suffix.lower() != ".toml":
        raise RecipeError(f"the first recipe is written in TOML: give a path that ends in .toml, not {path}")
    if path.exists() and not overwrite:
        raise RecipeError(f"{path} is there already; give another path or --overwrite")
    with replacing(path) as partial:
        partial.write_bytes(files("streamgen").joinpath("first_recipe.toml").read_bytes())
    return f"{path} written. Next: streamgen preview {path}"


async def followed(run: Run) -> Summary:
    """The run's end, with progress shown and signals obeyed meanwhile."""
    async with anyio.create_task_group() as company:
        company.start_soon(_obey_signals, run)
        company.start_soon(Progress(run).follow)
        with suppress(StreamgenError):  # the summary tells it
            await run.finish()
        company.cancel_scope.cancel()
    return run.summary()


async def _obey_signals(run: Run) -> None:
    """First Ctrl-C or SIGTERM: finish what is in flight. Second: stop now."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        is_first = True
        async for _ in received:
            if is_first:
                print("\nfinishing what is in flight; once more to stop at once", file=sys.stderr)
                run.stop(interrupted=True)
            else:
                run.cancel()
            is_first = False


def fetch_local_models(recipe: Recipe) -> None:
    """Fetch what is missing before the run, where its progress can be shown."""
    for spec in recipe.models.values():
        if isinstance(spec, ModelSpec) and spec.provider == "local" and spec.path is None and spec.model:
            from streamgen.command_models import pull_with_progress
            from streamgen.llm.store import find

            if find(spec.model) is None:
                pull_with_progress(spec.model)


def _finish(recipe: Recipe, directory: Path) -> object:
    """What the recipe's own last word is."""
    assert recipe.finish is not None
    function = find_function(recipe.finish.function, str(recipe.directory), "$.finish.function")
    return function(directory)
