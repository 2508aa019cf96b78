"""From a recipe to what runs: handlers, graph, endpoints; and the check that every column is there when it is read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import msgspec

from streamgen import registry
from streamgen.context import Context
from streamgen.engine.graph import SOURCE, Graph, build_graph
from streamgen.engine.stage import AwaitingHandler, Handler, Kind, Remembering, Result, Stage, Stateful, kind_of
from streamgen.errors import RecipeError, suggestion
from streamgen.llm.endpoint import Endpoint
from streamgen.llm.lane import Lane
from streamgen.llm.logprobs import mean_logprob
from streamgen.llm.model import Model
from streamgen.llm.price import Price
from streamgen.llm.spec import ModelSpec
from streamgen.recipe import Recipe, StageSpec, check, with_defaults
from streamgen.record import NO_USAGE, Record
from streamgen.settings import Settings
from streamgen.source import BadRow, Rows

if TYPE_CHECKING:
    from streamgen.control.binding import Variant
    from streamgen.control.controller import Controller

_PEEKED_ROWS = 100
_AT_ONCE = 64  # of a stage that waits for something else than a model


class Plan(msgspec.Struct, frozen=True):
    """A recipe made ready: graph, settings by stage, endpoints by model, stages that have a memory, controller."""

    graph: Graph
    settings: Mapping[str, Settings | None]
    endpoints: Mapping[str, Endpoint]
    memories: Mapping[str, Stateful | Remembering]
    tickets_in_flight: int
    controller: Controller | None


def make_plan(recipe: Recipe) -> Plan:
    """The plan of a recipe. Raises RecipeError for what cannot run: a cycle, an unknown column, a missing key."""
    recipe = msgspec.structs.replace(recipe, stages=tuple(map(_with_settings, recipe.stages)))
    check(recipe)
    settings = {spec.name: spec.settings for spec in recipe.stages}
    controller = _controller(recipe, settings)
    check_columns(recipe, controller)
    endpoints = {name: open_endpoint(name, spec) for name, spec in recipe.models.items()}
    handlers = {spec.name: _handler(spec) for spec in recipe.stages}
    stages = [_stage(spec, handlers[spec.name], endpoints, recipe) for spec in recipe.stages]
    memories: Mapping[str, object] = handlers
    awaiting = [stage.parallel for stage in stages if kind_of(stage.handler) is Kind.AWAITING]
    return Plan(
        build_graph(stages),
        settings,
        endpoints,
        {name: handler for name, handler in memories.items() if isinstance(handler, Stateful | Remembering)},
        recipe.run.tickets_in_flight or (2 * sum(awaiting) if awaiting else 256),
        controller,
    )


def open_endpoint(name: str, spec: ModelSpec | Model) -> Endpoint:
    """The endpoint of a recipe's model; from Python, a `Model` object may stand in the place of its description."""
    if not isinstance(spec, ModelSpec):
        return Endpoint(name, spec)
    open_model = registry.find("models", spec.provider, f"$.models.{name}.provider")
    lanes = []
    for n, lane in enumerate(spec.lanes):
        path = f"$.models.{name}.endpoints[{n}]" if spec.endpoints else f"$.models.{name}"
        own = f"endpoints[{n}] {_host(lane)}" if spec.endpoints else _host(lane)
        weight = spec.endpoints[n].weight if spec.endpoints else 1.0
        lanes.append(_open_lane(own, lane, open_model, path, weight))
    return Endpoint(name, lanes, retry=spec.retry, hedge=spec.hedge)


def _open_lane(name: str, spec: ModelSpec, open_model: Callable[[ModelSpec], Model], path: str, weight: float) -> Lane:
    try:
        model = open_model(spec)
    except RecipeError as error:
        if error.path and not error.path.startswith("$"):  # it knows the setting, but not which model it is of
            raise RecipeError(error.message, f"{path}.{error.path}") from None
        raise
    limits = spec.limits
    if limits.concurrency == "auto" and (slots := getattr(model, "slots", None)):
        limits = msgspec.structs.replace(limits, concurrency=slots)
    return Lane(model, name=name, limits=limits, price=_price(spec), weight=weight)


def _price(spec: ModelSpec) -> Price | None:
    """A model that runs here costs nothing, which is a known price."""
    return Price() if spec.price is None and spec.provider == "local" else spec.price


def _host(spec: ModelSpec) -> str:
    """Where it is, without a password that may stand in the address."""
    return urlsplit(spec.base_url or "").netloc.rpartition("@")[2] or spec.provider


def check_columns(recipe: Recipe, controller: Controller | None = None) -> None:
    """Check that what each stage reads is made before it, as far as stages declare it. Raises RecipeError.

    That holds for the recipe's own settings and for every end and choice of the controller's space.
    """
    source = _source_columns(recipe)
    _check_flow(recipe.stages, source)
    if controller is None:
        return
    from streamgen.control.binding import variants

    tunable = {spec.name: spec.settings for spec in recipe.stages if spec.settings is not None}
    for variant in variants(controller.space, tunable):
        try:
            check(varied := _varied(recipe, variant))
            _check_flow(varied.stages, source)
        except RecipeError as error:
            raise RecipeError(error.message, variant.path) from None


def _varied(recipe: Recipe, variant: Variant) -> Recipe:
    stages = [
        msgspec.structs.replace(spec, settings=variant.settings) if spec.name == variant.stage else spec
        for spec in recipe.stages
    ]
    return msgspec.structs.replace(recipe, stages=tuple(stages))


def _check_flow(specs: Sequence[StageSpec], source: frozenset[str] | None) -> None:
    known: dict[str, frozenset[str] | None] = {SOURCE: source}
    stages = {spec.name: (index, spec) for index, spec in enumerate(specs)}
    for stage in build_graph([_bare(spec) for spec in specs]).stages:
        index, spec = stages[stage.name]
        inputs = [known[name] for name in stage.inputs]
        before = None if None in inputs else frozenset().union(*cast(Iterable[frozenset[str]], inputs))
        reads = spec.settings.reads() if spec.settings else None
        if before is not None and reads is not None and (missing := sorted(reads - before)):
            raise RecipeError(
                f"stage {spec.name!r} reads the column {missing[0]!r}, which nothing before it makes"
                f"{suggestion(missing[0], before)}",
                f"$.stages[{index}]",
            )
        writes = _writes(spec)
        known[spec.name] = None if before is None or writes is None else before | writes


def _writes(spec: StageSpec) -> frozenset[str] | None:
    """None where nobody says: a stage of the user's own, without a `writes`, may add what it likes."""
    settings = spec.settings
    if settings is None or (type(settings).writes is Settings.writes and spec.type not in registry.BUILTIN["stages"]):
        return None
    return settings.writes()


def _controller(recipe: Recipe, settings: Mapping[str, Settings | None]) -> Controller | None:
    if recipe.controller is None:
        return None
    from streamgen.control.build import build_controller

    tunable = {name: own for name, own in settings.items() if own is not None}
    return build_controller(recipe.controller, tunable, recipe.seed, str(recipe.directory))


def _source_columns(recipe: Recipe) -> frozenset[str] | None:
    """The columns of the source's first rows."""
    if recipe.source is None:
        return frozenset()
    rows = islice(Rows(recipe.source.build("sources")), _PEEKED_ROWS)
    columns = [frozenset(row) for row in rows if not isinstance(row, BadRow)]
    return frozenset().union(*columns) if columns else None


def _bare(spec: StageSpec) -> Stage:
    return Stage(name=spec.name, handler=lambda record, context: record, inputs=spec.inputs)


def _factory(spec: StageSpec) -> Any:
    return registry.find("stages", spec.type) if isinstance(spec.type, str) else spec.type


def _handler(spec: StageSpec) -> Handler:
    make = factory = _factory(spec)
    if not inspect.isclass(factory):
        return cast(Handler, factory)
    return cast(Handler, make() if spec.settings is None else make(spec.settings))


def _with_settings(spec: StageSpec) -> StageSpec:
    return msgspec.structs.replace(spec, settings=with_defaults(_factory(spec), spec.settings))


def _stage(spec: StageSpec, handler: Handler, endpoints: Mapping[str, Endpoint], recipe: Recipe) -> Stage:
    model = endpoints.get(getattr(spec.settings, "model", ""))
    concurrency = model.parallel if model else _AT_ONCE
    awaits = kind_of(handler) is Kind.AWAITING
    return Stage(
        name=spec.name,
        handler=with_provenance(handler) if awaits else handler,
        inputs=spec.inputs,
        parallel=spec.parallel or (concurrency if awaits else 1),
        batch=spec.batch,
        capacity=spec.capacity,
        capacity_bytes=spec.capacity_bytes,
        ordered=spec.ordered or recipe.run.ordered,
    )


def with_provenance(handler: Handler) -> Handler:
    """The handler, with the models that it asked and what they cost written into its results' provenance."""

    async def stamped(record: Record, context: Context[Any]) -> Result:
        result = await cast(AwaitingHandler, handler)(record, context)
        if not context.calls:
            return result
        if result is True:
            return _stamp(record, context)
        if isinstance(result, Record):
            return _stamp(result, context)
        if isinstance(result, Iterable) and not isinstance(result, str | bytes | Mapping):
            return [_stamp(child, context) if isinstance(child, Record) else child for child in result]
        return result

    return stamped


def _stamp(record: Record, context: Context[Any]) -> Record:
    if (logprob := mean_logprob(context.calls)) is not None:
        record = record.scored(f"{context.stage}.logprob", logprob)
    calls, meta = context.calls, record.meta
    if len(calls) == 1 and meta.usage is None and not meta.models:
        return record.with_meta(usage=calls[0].usage, models=(calls[0].model,) if calls[0].model else ())
    usage = sum((response.usage for response in calls), meta.usage or NO_USAGE)
    models = (*meta.models, *(response.model for response in calls if response.model))
    return record.with_meta(usage=usage, models=tuple(dict.fromkeys(models)))
