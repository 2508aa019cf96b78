"""Puts a run's parts together, and brings those with a memory to where the last session left them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from os.path import normpath
from pathlib import Path

import msgspec

from streamgen.control.controller import Controller
from streamgen.engine.demand import Demand
from streamgen.errors import RecipeError
from streamgen.journal.journal import Journal
from streamgen.journal.projection import Projection
from streamgen.journal.store import FILE_NAME, Store
from streamgen.llm.budget import Ledger
from streamgen.llm.caller import JournaledCaller, run_id_of
from streamgen.llm.spend import spends_of
from streamgen.metrics import Accumulator
from streamgen.plan import Plan
from streamgen.readmit import readmitting
from streamgen.recipe import Recipe
from streamgen.record import decode
from streamgen.resume import Past, adopt, past_of, settled_records
from streamgen.source import Row, checked
from streamgen.tuning import Tuning


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run is made of."""

    recipe: Recipe
    directory: Path | None
    plan: Plan
    past: Past
    journal: Journal
    demand: Demand
    ledger: Ledger
    caller: JournaledCaller
    controller: Controller | None
    tuning: Tuning
    metrics: Mapping[str, Accumulator]
    projections: list[Projection]
    rows: Iterator[Row] | None

    def close(self) -> None:
        """Let go of every file."""
        for projection in self.projections:
            projection.close()
        self.journal.dispose()


def assemble(recipe: Recipe, plan: Plan, directory: Path | None) -> Parts:
    """The parts of a fresh run, or of one that goes on. Raises RecipeError and JournalError."""
    store = Store(directory / FILE_NAME if directory else None)
    try:
        return _assembled(recipe, directory, plan, store)
    except BaseException:
        store.close()
        raise


def _assembled(recipe: Recipe, directory: Path | None, plan: Plan, store: Store) -> Parts:
    controller = plan.controller
    adopt(store, recipe)
    missing = _missing(store, recipe)
    past = past_of(store)
    plan = msgspec.structs.replace(plan, graph=readmitting(plan.graph, past.accepted))
    demand = Demand(plan.tickets_in_flight, missing)
    ledger = Ledger(recipe.run.budget, asyncio.get_running_loop().time)
    ledger.restore(spends_of(store), past.minutes)
    tuning = Tuning(plan.settings, controller, plan.endpoints)
    metrics: dict[str, Accumulator] = {part.name: part.build("metrics") for part in recipe.metrics}
    _remember(store, past, plan, tuning, metrics)
    rows = checked(recipe.source.build("sources")) if recipe.source else None
    journal = Journal(store)
    return Parts(
        recipe=recipe,
        directory=directory,
        plan=plan,
        past=past,
        journal=journal,
        demand=demand,
        ledger=ledger,
        caller=_caller(recipe, plan, ledger, journal, past, demand),
        controller=controller,
        tuning=tuning,
        metrics=metrics,
        projections=_opened(recipe, journal, directory),
        rows=rows,
    )


def _missing(store: Store, recipe: Recipe) -> int | None:
    """Records still to be accepted, after those that lie ready as surplus."""
    if recipe.run.accept is None:
        store.use_surplus(None)
        return None
    missing = max(0, recipe.run.accept - store.last_seq)
    return missing - store.use_surplus(missing)


def _caller(
    recipe: Recipe, plan: Plan, ledger: Ledger, journal: Journal, past: Past, demand: Demand
) -> JournaledCaller:
    return JournaledCaller(
        plan.endpoints,
        ledger,
        journal,
        run_id=run_id_of(journal.store),
        seed=recipe.seed,
        priorities={stage.name: place for place, stage in enumerate(plan.graph.stages)},
        replay=past.replay,
        is_enough=lambda: demand.missing == 0,
    )


def _remember(
    store: Store,
    past: Past,
    plan: Plan,
    tuning: Tuning,
    metrics: Mapping[str, Accumulator],
) -> None:
    """Show the past to everything that has a memory."""
    for first_ticket, settings in past.retunes:
        tuning.retune(first_ticket, settings)
    if plan.controller and past.trials:
        plan.controller.restore(past.trials, past.rewards, settled_records(store))
    if plan.stateful or metrics:
        for page in store.pages():
            records = [decode(stored.body) for stored in page]
            for memory in plan.stateful:
                memory.restore(records)
            for metric in metrics.values():
                metric.update(records)


def _opened(recipe: Recipe, journal: Journal, directory: Path | None) -> list[Projection]:
    """The sinks, brought back to where the journal knows them to be."""
    projections = _projections(recipe, journal, directory)
    try:
        for projection in projections:
            projection.open(directory or Path())
    except BaseException:
        for projection in projections:
            projection.close()
        journal.dispose()
        raise
    return projections


def _projections(recipe: Recipe, journal: Journal, directory: Path | None) -> list[Projection]:
    projections: list[Projection] = []
    for index, part in enumerate(recipe.sinks):
        name = normpath(getattr(part.settings, "path", None) or part.name or f"sink-{index + 1}")
        if name in [projection.name for projection in projections]:
            raise RecipeError(f"two sinks are called {name!r}; give each its own path or name", f"$.sinks[{index}]")
        projection = Projection(name, part.build("sinks"), journal)
        if directory is None and projection.file:
            raise RecipeError(f"the sink {name!r} writes a file, so the run needs a directory", f"$.sinks[{index}]")
        projections.append(projection)
    return projections
