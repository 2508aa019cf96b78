"""The recipe: what a run makes, from what, with which models, within which budget. Files and Python build the same."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

import msgspec

from streamgen import registry
from streamgen.decode import check_settings, decode, need_table
from streamgen.engine.run import Bounds
from streamgen.errors import RecipeError, UnknownName
from streamgen.hints import hints_of
from streamgen.journal.progress import Retain
from streamgen.llm.budget import Budget
from streamgen.llm.spec import ModelSpec
from streamgen.record import Value
from streamgen.settings import Settings

if TYPE_CHECKING:
    from streamgen.control.build import ControllerSpec

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


def with_defaults(factory: Callable[..., Any], settings: msgspec.Struct | None) -> Any:
    """The settings; where Python gives none, the defaults of those that the factory asks for. Raises RecipeError."""
    if settings is not None or not (inspect.isroutine(factory) or inspect.isclass(factory)):
        return settings
    make: Any = factory
    struct = registry.settings_type(make)
    return None if struct is None else decode({}, struct)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A source, sink or metric: what makes it, and its settings. From Python, `type` may be the factory itself."""

    type: str | Callable[..., Any]
    settings: msgspec.Struct | None = None
    name: str = ""

    def build(self, group: str) -> Any:
        """The object that the settings describe."""
        factory = registry.find(group, self.type) if isinstance(self.type, str) else self.type
        settings = with_defaults(factory, self.settings)
        return factory() if settings is None else factory(settings)


class StageBounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in every stage of a recipe, whatever its type: what it reads and within which bounds it works."""

    inputs: tuple[str, ...] = ()
    parallel: Count | None = None
    ordered: bool = False
    capacity: Count = 256
    capacity_bytes: Count | None = None
    batch: Count = 64


_STAGE_KEYS = ("name", "type", *StageBounds.__struct_fields__)


class StageSpec(StageBounds, frozen=True, kw_only=True):
    """A stage of a recipe. From Python, `type` may be a handler itself: `async def f(record, context)`.

    `parallel` (records in its handler at once) follows the concurrency of the stage's model where it is not given.
    """

    name: str
    type: str | Callable[..., Any]
    settings: Settings | None = None


class RunSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[run]`: how much is made and when it stops. `accept` None takes all of a finite source.

    `tickets_in_flight` bounds the work that is out at once; `ordered` keeps the order of the tickets. `retain`
    "accepted" drops the calls of settled tickets from the journal, so that it grows with what is kept. `cache` is a
    file of answers that any number of runs share, made where there is none: a call that one of them paid for costs
    the others nothing.
    """

    accept: Annotated[int, msgspec.Meta(ge=0)] | None = None
    budget: Budget = Budget()
    ordered: bool = False
    tickets_in_flight: Count | None = None
    bounds: Bounds = Bounds()
    retain: Retain = "all"
    cache: Annotated[str, msgspec.Meta(min_length=1)] | None = None


class FinishSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[finish]`: a function "module:function" that is called with the run's directory when all is accepted.

    What it returns is printed below the summary: a text, or anything that rich can show.
    """

    function: str


class CardSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[card]`: what its maker states of the data, for the data card of the report and of exported folders.

    `sources` are the origin and the licences of seeds, documents and models, `license` that of the data itself.
    """

    description: str = ""
    sources: str = ""
    license: str = ""
    contact: str = ""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run needs to know. Make one with `Recipe.load(path)`, `Recipe.parse(...)` or by hand."""

    name: str = "run"
    seed: int = 0
    models: Mapping[str, ModelSpec] = {}
    source: Part | None = None
    stages: tuple[StageSpec, ...] = ()
    sinks: tuple[Part, ...] = ()
    metrics: tuple[Part, ...] = ()
    run: RunSpec = RunSpec()
    controller: ControllerSpec | None = None
    finish: FinishSpec | None = None
    card: CardSpec = CardSpec()
    directory: Path = Path()  # of the recipe's file: what its relative paths start from
    raw: Mapping[str, Value] = {}  # as written, for the journal and the report

    @classmethod
    def load(cls, path: str | Path, overrides: Iterable[str] = ()) -> Self:
        """The recipe in a TOML, YAML or JSON file, with `stages.answer.temperature=0.5` style overrides on top.

        Raises RecipeError with the `$.path` of the first thing that is wrong.
        """
        from streamgen.recipe_file import override, read_raw

        path = Path(path)
        return cls.parse(override(read_raw(path), overrides), path.absolute().parent)

    @classmethod
    def parse(cls, raw: Mapping[str, Value], directory: str | Path = ".") -> Self:
        """The recipe in a mapping; relative paths in it start from `directory`. Raises RecipeError."""
        top = decode(raw, _Raw)
        directory = Path(directory).absolute()
        recipe = cls(
            name=top.name,
            seed=top.seed,
            models={name: decode(need_table(m, f"$.models.{name}"), ModelSpec, f"$.models.{name}")
                    for name, m in top.models.items()},
            source=_part("sources", top.source, "$.source", directory) if top.source is not None else None,
            stages=tuple(_stage(stage, f"$.stages[{i}]", directory) for i, stage in enumerate(top.stages)),
            sinks=tuple(_part("sinks", sink, f"$.sinks[{i}]") for i, sink in enumerate(top.sinks)),
            metrics=tuple(_part("metrics", part, f"$.metrics[{i}]", directory) for i, part in enumerate(top.metrics)),
            run=decode(top.run, RunSpec, "$.run"),
            controller=None if top.controller is None else _controller(top.controller),
            finish=None if top.finish is None else decode(top.finish, FinishSpec, "$.finish"),
            card=decode(top.card, CardSpec, "$.card"),
            directory=directory,
            raw=raw,
        )  # fmt: skip
        check(recipe)
        return recipe

    def with_warm_start(self, directory: Path) -> Recipe:
        """The recipe, its controller beginning with what the run in this directory has learned. Raises RecipeError."""
        if self.controller is None:
            raise RecipeError("a warm start is for a controller: the recipe has no [controller]", "$.controller")
        controller = msgspec.structs.replace(self.controller, warm_start=str(directory.absolute()))
        return msgspec.structs.replace(self, controller=controller)


class _Raw(msgspec.Struct, forbid_unknown_fields=True):
    """The top level of a recipe's file; the parts are decoded one by one, for the sake of exact paths."""

    name: Annotated[str, msgspec.Meta(min_length=1)] = "run"
    seed: int = 0
    models: dict[str, Any] = {}
    source: dict[str, Any] | None = None
    stages: list[dict[str, Any]] = []
    sinks: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    run: dict[str, Any] = {}
    controller: dict[str, Any] | None = None
    finish: dict[str, Any] | None = None
    card: dict[str, Any] = {}


def check(recipe: Recipe) -> None:
    """Check what a single part cannot know: that names refer to something. Raises RecipeError."""
    if not recipe.stages and recipe.source is None:
        raise RecipeError("the recipe makes nothing: it needs [[stages]] or a [source]", "$")
    if recipe.source is None and recipe.run.accept is None:
        raise RecipeError("without a [source], say how many records to accept: accept = 100", "$.run.accept")
    _check_metrics(recipe)
    _check_prices(recipe)
    for index, stage in enumerate(recipe.stages):
        if set("./") & set(stage.name):  # record ids and the names of tuned settings are made with these
            raise RecipeError(f"the name {stage.name!r} must do without `.` and `/`", f"$.stages[{index}].name")
        for model in stage.settings.asked_models() if isinstance(stage.settings, Settings) else ():
            if model not in recipe.models:
                raise UnknownName("model", model, recipe.models, f"$.stages[{index}].model")


def _check_metrics(recipe: Recipe) -> None:
    names = [metric.name for metric in recipe.metrics]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise RecipeError(f"two metrics are called {name!r}; give one of them a name", f"$.metrics[{index}].name")


def _check_prices(recipe: Recipe) -> None:
    """A model without a price would count as free; those that run here are."""
    unpriced = [name for name, spec in recipe.models.items() if not _has_price(spec)]
    if recipe.run.budget.usd is not None and unpriced:
        raise RecipeError(
            f"a budget in usd needs the price of every model; none is known of {', '.join(unpriced)}: "
            "give each `price = { input = ..., output = ... }`, in USD per million tokens, or bound tokens or requests",
            "$.run.budget.usd",
        )


def _has_price(spec: object) -> bool:
    return isinstance(spec, ModelSpec) and (spec.is_priced or spec.provider == "local")


def _controller(raw: Mapping[str, Any]) -> ControllerSpec:
    from streamgen.control.build import ControllerSpec

    return decode(raw, ControllerSpec, "$.controller")


def _stage(raw: Mapping[str, Any], path: str, directory: Path) -> StageSpec:
    for key in ("name", "type"):
        if not isinstance(raw.get(key), str) or not raw[key]:
            raise RecipeError(
                f'a stage needs a {key}, as in {key} = "answer"'
                if key == "name"
                else f"a stage needs a type; known: {', '.join(registry.names('stages'))}",
                f"{path}.{key}",
            )
    own = {key: value for key, value in raw.items() if key not in _STAGE_KEYS}
    factory = registry.find("stages", raw["type"], f"{path}.type")
    settings = _settings(factory, own, path, directory)
    bounds = decode({key: raw[key] for key in StageBounds.__struct_fields__ if key in raw}, StageBounds, path)
    return StageSpec(name=raw["name"], type=raw["type"], settings=settings, **msgspec.structs.asdict(bounds))


def _part(group: str, raw: Mapping[str, Any], path: str, directory: Path | None = None) -> Part:
    if not isinstance(raw.get("type"), str):
        raise RecipeError(f"a type is needed; known: {', '.join(registry.names(group))}", f"{path}.type")
    factory = registry.find(group, raw["type"], f"{path}.type")
    own = {key: value for key, value in raw.items() if key not in ("type", "name")}
    settings = _settings(factory, own, path, directory)
    return Part(type=raw["type"], settings=settings, name=decode(raw.get("name", raw["type"]), str, f"{path}.name"))


def _settings(factory: Callable[..., Any], raw: Mapping[str, Any], path: str, directory: Path | None) -> Any:
    """The settings struct of a factory, decoded and checked, its file paths made absolute."""
    struct = registry.settings_type(factory)
    if struct is None:
        if raw:
            raise UnknownName("setting", next(iter(raw)), (), path)
        return None
    settings = decode(raw, struct, path)
    if directory is not None:
        settings = _with_absolute_files(settings, directory, path)
    check_settings(settings, path)
    return settings


def _with_absolute_files(settings: msgspec.Struct, directory: Path, path: str) -> msgspec.Struct:
    """The settings with every path in them absolute. Raises RecipeError for a file that is not there."""
    changed = {
        name: _absolute(getattr(settings, name), hint, directory, f"{path}.{name}")
        for name, hint in hints_of(type(settings)).items()
    }
    return msgspec.structs.replace(settings, **changed)


def _absolute(value: Any, hint: Any, directory: Path, path: str) -> Any:
    """The value with what its type marks as a path made absolute, also within a list of paths, or one of two types."""
    if value is None:
        return None
    if (mark := _mark(hint)) is not None:
        return _ABSOLUTE[mark](value, directory, path)
    hint = _bare(hint)
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and inner:
        return tuple([_absolute(one, inner[0], directory, f"{path}[{n}]") for n, one in enumerate(value)])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        own = next((one for one in inner if (typing.get_origin(_bare(one)) or _bare(one)) is type(value)), None)
        return _absolute(value, own, directory, path)
    return value


def _bare(hint: Any) -> Any:
    return hint.__origin__ if hasattr(hint, "__metadata__") else hint


def _absolute_file(value: Any, directory: Path, path: str) -> Any:
    if isinstance(value, str) and not (file := directory / value).exists():
        raise RecipeError(f"there is no file {file}", path)
    return str(directory / value) if isinstance(value, str) else value


def _absolute_function(value: str, directory: Path, path: str) -> str:
    """The file that the module is in, where that is beside the recipe; installed ones are found by name."""
    module, _, function = value.rpartition(":")
    file = Path(directory, *module.split(".")).with_suffix(".py")
    return f"{file}:{function}" if file.is_file() else value


def _absolute_stages(tables: Sequence[Mapping[str, Any]], directory: Path, path: str) -> tuple[Mapping[str, Any], ...]:
    return tuple([_absolute_stage(table, directory, f"{path}[{n}]") for n, table in enumerate(tables)])


def _absolute_stage(table: Mapping[str, Any], directory: Path, path: str) -> Mapping[str, Any]:
    if not isinstance(kind := table.get("type"), str):
        return table  # the stage that it stands in says what is wrong with it
    own = {key: value for key, value in table.items() if key not in ("type", "name")}
    settings = _settings(registry.find("stages", kind, f"{path}.type"), own, path, directory)
    named = {key: table[key] for key in ("type", "name") if key in table}
    return table if settings is None else {**named, **msgspec.to_builtins(settings)}


_ABSOLUTE: Mapping[str, Callable[[Any, Path, str], Any]] = {
    "is_file": _absolute_file,
    "is_function": _absolute_function,
    "is_stages": _absolute_stages,
}


def _mark(hint: Any) -> str | None:
    """What kind of path a value of this type is."""
    for extra in getattr(hint, "__metadata__", ()):
        marks = (extra.extra or {}).keys() if isinstance(extra, msgspec.Meta) else ()
        if found := next((mark for mark in _ABSOLUTE if mark in marks), None):
            return found
    return None
