"""Puts a run's parts together, and brings those with a memory to where the last session left them."""

from __future__ import annotations

import asyncio
from functools import partial
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from streamgen.engine.demand import Demand
from streamgen.engine.stage import Remembering
from streamgen.errors import RecipeError
from streamgen.journal.journal import Journal
from streamgen.journal.projection import Projection
from streamgen.journal.store import FILE_NAME, Store
from streamgen.llm.budget import Ledger
from streamgen.llm.caller import JournaledCaller, run_id_of
from streamgen.llm.spend import spends_of
from streamgen.measures import Measures
from streamgen.plan import Plan
from streamgen.readmit import readmitting
from streamgen.recipe import Recipe
from streamgen.record import decode
from streamgen.resume import Past, adopt, memories_of, past_of
from streamgen.source import Rows
from streamgen.tuning import Tuning

if TYPE_CHECKING:
    from streamgen.control.controller import Controller
    from streamgen.llm.known import KnownAnswers


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
    known: KnownAnswers | None
    controller: Controller | None
    tuning: Tuning
    metrics: Measures
    projections: list[Projection]
    rows: Rows | None

    def close(self) -> None:
        """Let go of every file."""
        for projection in self.projections:
            projection.close()
        if self.known:
            self.known.close()
        self.journal.dispose()


def assemble(recipe: Recipe, plan: Plan, directory: Path | None) -> Parts:
    """The parts of a fresh run, or of one that goes on. Raises RecipeError and JournalError."""
    store = Store(directory / FILE_NAME if directory else None, retain=recipe.run.retain)
    known: KnownAnswers | None = None
    try:
        known = _known(recipe)
        return _assembled(recipe, directory, plan, store, known)
    except BaseException:
        if known:
            known.close()
        store.close()
        raise


def _known(recipe: Recipe) -> KnownAnswers | None:
    if recipe.run.cache is None:
        return None
    from streamgen.llm.known import open_known

    return open_known(recipe.directory / recipe.run.cache, recipe.models)


def _assembled(recipe: Recipe, directory: Path | None, plan: Plan, store: Store, known: KnownAnswers | None) -> Parts:
    controller = plan.controller
    if controller:
        from streamgen.learned import begin_anew, begin_with

        adopt(store, recipe, lambda: begin_anew(store, recipe, controller))
        begin_with(store, recipe, controller)
    else:
        adopt(store, recipe)
    missing = _missing(store, recipe)
    past = past_of(store)
    plan = msgspec.structs.replace(plan, graph=readmitting(plan.graph, past.accepted))
    demand = Demand(plan.tickets_in_flight, missing)
    ledger = Ledger(recipe.run.budget, asyncio.get_running_loop().time)
    ledger.restore(spends_of(store), past.minutes)
    tuning = Tuning(plan.settings, controller, plan.endpoints)
    rows = Rows(recipe.source.build("sources")) if recipe.source else None
    journal = Journal(store)
    _memories(plan, journal)
    caller = _caller(recipe, plan, ledger, journal, past, demand, known)
    if controller:
        _listen(controller, journal, ledger, caller)
    return Parts(
        recipe=recipe,
        directory=directory,
        plan=plan,
        past=past,
        journal=journal,
        demand=demand,
        ledger=ledger,
        caller=caller,
        known=known,
        controller=controller,
        tuning=tuning,
        metrics=_measures(recipe, journal),
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
    recipe: Recipe,
    plan: Plan,
    ledger: Ledger,
    journal: Journal,
    past: Past,
    demand: Demand,
    known: KnownAnswers | None,
) -> JournaledCaller:
    return JournaledCaller(
        plan.endpoints,
        ledger,
        journal,
        run_id=run_id_of(journal.store),
        seed=recipe.seed,
        priorities={stage.name: place for place, stage in enumerate(plan.graph.stages)},
        replay=past.replay,
        known=known,
        is_enough=lambda: demand.missing == 0,
    )


async def recall(parts: Parts) -> None:
    """Show the past to everything that has a memory, and go to the source's next row; it may take long."""
    if parts.past.sessions or parts.controller:
        await parts.journal.offload(_recall, parts, parts.journal.store)


def _recall(parts: Parts, store: Store) -> None:
    for first_ticket, settings in parts.past.retunes:
        parts.tuning.retune(first_ticket, settings)
    if parts.controller:
        from streamgen.learned import recall as recall_controller

        recall_controller(parts.controller, store, parts.past.trials, parts.past.rewards)
    for name, memory in parts.plan.memories.items():
        if isinstance(memory, Remembering):
            for memories in memories_of(store, name, parts.past):
                memory.recall(memories)
        else:
            for page in store.pages():
                memory.restore([decode(stored.body) for stored in page])
    parts.metrics.recall(store)
    if parts.rows is not None:
        parts.rows.begin(min(parts.past.unsettled, default=parts.past.following), parts.past.place)


def _memories(plan: Plan, journal: Journal) -> None:
    """Let stages with a memory keep it in the journal, where there will be another session."""
    for name, memory in plan.memories.items():
        if journal.store.path and isinstance(memory, Remembering):
            memory.keep = partial(journal.append, "memories", name)


def _listen(controller: Controller, journal: Journal, ledger: Ledger, caller: JournaledCaller) -> None:
    from streamgen.learned import keep_in

    controller.hooks = keep_in(journal, ledger, asyncio.get_running_loop().time)
    caller.on_paid = controller.paid


def _measures(recipe: Recipe, journal: Journal) -> Measures:
    metrics = {part.name: part.build("metrics") for part in recipe.metrics}
    settings = {part.name: part.settings for part in recipe.metrics}
    return Measures(metrics, settings, partial(journal.append, "snapshots") if journal.store.path else lambda *_: None)


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
