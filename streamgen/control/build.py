"""Builds a controller from a recipe's `[controller]`, and checks all of it before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec

from streamgen import registry
from streamgen.control.agent import Agent
from streamgen.control.binding import check_space, current_values
from streamgen.control.controller import Controller
from streamgen.control.outlook import Outlook
from streamgen.control.pool import Pool
from streamgen.control.reward import RewardFunction
from streamgen.control.schedule import Schedule
from streamgen.control.space import Space
from streamgen.control.space_recipe import parse_space
from streamgen.decode import check_settings, decode
from streamgen.errors import RecipeError, UnknownName
from streamgen.record import Value

T = TypeVar("T", bound=msgspec.Struct)

Count = Annotated[int, msgspec.Meta(ge=1)]


class ControllerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[controller]` of a recipe.

    `batch` is tickets a trial; `trials` explore, the first of them with the recipe's own settings, each `recheck`-th
    with the recommended ones (0: none). `rungs`, as in [16, 32, 64], begin trials with few tickets and give more to
    those that do well. `reward` holds a `type` and that type's settings, `options` the agent's settings. `pool` bounds
    the accepted records that a reward may look back on, `evaluators` the rewards computed at once; `paired` compares
    with the incumbent's records, where the reward can. `label` is the column whose classes are counted for the agent,
    `wanted` their shares, alike if not given. `warm_start` is an earlier run's directory, whose rewards are learned
    first.
    """

    reward: Mapping[str, Value]
    space: Mapping[str, Value]
    agent: str = "random_search"
    options: Mapping[str, Value] = {}
    batch: Count = 32
    trials: Count = 20
    seed: int | None = None
    pool: Annotated[int, msgspec.Meta(ge=0)] = 2000
    evaluators: Count = 1
    recheck: Annotated[int, msgspec.Meta(ge=0)] = 8
    rungs: tuple[Count, ...] = ()
    paired: bool = False
    label: str | None = None
    wanted: Mapping[str, Annotated[float, msgspec.Meta(gt=0)]] = {}
    warm_start: str | None = None

    def check(self, path: str) -> None:
        """Raise RecipeError for fields that do not go together."""
        if self.rungs and (len(self.rungs) < 2 or list(self.rungs) != sorted(set(self.rungs))):
            raise RecipeError("`rungs` must be at least two numbers of tickets that rise, as in [16, 32, 64]",
                              f"{path}.rungs")  # fmt: skip
        if self.wanted and self.label is None:
            raise RecipeError("`wanted` needs the `label`, the column that holds the classes", f"{path}.wanted")


def build_controller(
    spec: ControllerSpec,
    stage_settings: Mapping[str, msgspec.Struct],
    seed: int,
    directory: str | None = None,
    path: str = "$.controller",
) -> Controller:
    """A controller over these stages. `seed` is the run's, files are looked for in `directory` (the recipe's).

    Raises RecipeError with the place in the recipe for anything that cannot work.
    """
    spec.check(path)
    seed = seed if spec.seed is None else spec.seed
    space = check_space(parse_space(spec.space, f"{path}.space"), stage_settings, f"{path}.space")
    return Controller(
        build_agent(spec, space, seed, path),
        build_reward(spec.reward, directory, f"{path}.reward"),
        space,
        current_values(space, stage_settings),
        schedule=Schedule(batch=spec.batch, trials=spec.trials, recheck=spec.recheck, rungs=spec.rungs),
        pool=Pool(spec.pool, seed),
        evaluators=spec.evaluators,
        outlook=Outlook(spec.label, spec.wanted),
        paired=spec.paired,
    )


def build_agent(spec: ControllerSpec, space: Space, seed: int, path: str = "$.controller") -> Agent:
    """The agent that the spec names, over the space; one that asks for it knows how many trials are planned."""
    settings = registry.settings_type(registry.find("agents", spec.agent, f"{path}.agent"))
    planned = {"trials": spec.trials} if settings and "trials" in settings.__struct_fields__ else {}
    return make_agent(spec.agent, {**planned, **spec.options}, space, seed, f"{path}.agent", f"{path}.options")


def make_agent(
    name: str, options: Mapping[str, Value], space: Space, seed: int, path: str = "", options_path: str = ""
) -> Agent:
    """The agent registered under a name, with these options; `path` and `options_path` are where both stand."""
    factory = registry.find("agents", name, path)
    settings = registry.settings_type(factory)
    if settings is None:
        _take_none(options, f"option of the agent {name!r}", options_path)
        agent: Agent = factory(space, seed)
    else:
        agent = factory(space, seed, _converted(options, settings, options_path))
    return agent


def build_reward(raw: Mapping[str, Value], directory: str | None, path: str = "$.controller.reward") -> RewardFunction:
    """The reward function that `type` names, with its settings checked."""
    if not isinstance(name := raw.get("type"), str):
        raise RecipeError(f"the reward has no `type`; known: {', '.join(registry.names('rewards'))}", path)
    factory = registry.find("rewards", name, f"{path}.type")
    options = {key: value for key, value in raw.items() if key != "type"}
    settings = registry.settings_type(factory)
    if settings is None:
        _take_none(options, f"setting of the reward {name!r}", path)
        reward: RewardFunction = factory()
    else:
        if "directory" in settings.__struct_fields__ and directory is not None:
            options.setdefault("directory", directory)
        reward = factory(_converted(options, settings, path))
    return reward


def _converted(raw: Mapping[str, Value], struct: type[T], path: str) -> T:
    settings = decode(raw, struct, path)
    check_settings(settings, path)
    return settings


def _take_none(raw: Mapping[str, Value], kind: str, path: str) -> None:
    for key in raw:
        raise UnknownName(kind, key, (), path)
