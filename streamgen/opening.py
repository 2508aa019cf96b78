"""From a recipe to a live run and back: `async with streamgen.open(...)`, and `streamgen.run(...)` for scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec

from streamgen.assembly import assemble, recall
from streamgen.errors import RecipeError
from streamgen.journal.lock import locked
from streamgen.plan import Plan, make_plan
from streamgen.recipe import Recipe
from streamgen.record import Value
from streamgen.runs import WINDOW, Run
from streamgen.summary import Summary

T = TypeVar("T")


@asynccontextmanager
async def open_run(
    recipe: Recipe | str | Path | Mapping[str, Value],
    *,
    directory: str | Path | None = None,
    accept: int | None = None,
    window: int = WINDOW,
    tickets: int | None = None,
    plan: Plan | None = None,
) -> AsyncIterator[Run]:
    """A run of the recipe (or of the recipe's file), alive as long as the `async with` block.

    `directory` holds its journal and its files; one that holds a run already is resumed. None keeps everything in a
    temporary journal that vanishes at the end. `accept` overrides the recipe's; at most `window` records are accepted
    ahead of the consumer; a run that may issue `tickets` at most stops after them; `plan` is the recipe's, where the
    caller has made it. Leaving the block stops and drains; an error or a cancellation in it cuts off what is in flight.
    All of them leave a run that can be resumed.

    Raises RecipeError, PluginError, LockedError and JournalError before anything runs.
    """
    recipe = with_accept(as_recipe(recipe), accept)
    plan = plan or make_plan(recipe)
    with ExitStack() as stack:
        folder = None if directory is None else _folder(Path(directory))
        if folder is not None:
            stack.enter_context(locked(folder))
        parts = assemble(recipe, plan, folder)
        stack.callback(parts.close)
        await recall(parts)
        cause: BaseException | None = None
        try:
            async with anyio.create_task_group() as life:
                run = Run(parts, window, tickets)
                await life.start(run.live, name=f"streamgen run {recipe.name}")
                try:
                    yield run
                except BaseException:
                    life.cancel_scope.cancel()
                    raise
                await run.leave()
        except BaseExceptionGroup as group:
            cause = group.exceptions[0]  # there is but one: the block's own, for a run keeps its errors
        if cause is not None:  # outside the handler, so that the group does not become its context
            raise cause


def run(
    recipe: Recipe | str | Path | Mapping[str, Value],
    *,
    directory: str | Path | None = None,
    accept: int | None = None,
) -> Summary:
    """Run a recipe to its end, from a script. In a running loop or a notebook use `async with streamgen.open(...)`.

    Raises what ended the run, where that was an error.
    """

    async def main() -> Summary:
        async with open_run(recipe, directory=directory, accept=accept) as opened:
            return await opened.finish()

    return run_async(main)


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run an async function to its end on asyncio, on uvloop where that is installed."""
    from importlib.util import find_spec

    _refuse_nesting()
    return anyio.run(main, backend_options={"use_uvloop": find_spec("uvloop") is not None})


def as_recipe(recipe: Recipe | str | Path | Mapping[str, Value]) -> Recipe:
    """The recipe, or the one in this file or mapping."""
    if isinstance(recipe, Recipe):
        return recipe
    return Recipe.load(recipe) if isinstance(recipe, str | Path) else Recipe.parse(recipe)


def with_accept(recipe: Recipe, accept: int | None) -> Recipe:
    """The recipe with another number of records to accept."""
    if accept is None:
        return recipe
    return msgspec.structs.replace(recipe, run=msgspec.structs.replace(recipe.run, accept=accept))


def _refuse_nesting() -> None:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RecipeError("a loop is running here already: use `async with streamgen.open(recipe) as run`")


def _folder(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"cannot make the run's directory {directory}: {error.strerror}") from None
    return directory
