"""Builds a controller from a recipe's `[controller]`, and checks all of it before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec

from streamgen import registry
from streamgen.control.agent import Agent
from streamgen.control.binding import check_space, current_values
from streamgen.control.controller import Controller
from streamgen.control.pool import Pool
from streamgen.control.reward import RewardFunction
from streamgen.control.space import Space
from streamgen.control.space_recipe import parse_space
from streamgen.decode import check_settings, decode
from streamgen.errors import RecipeError, UnknownName
from streamgen.record import Value

T = TypeVar("T", bound=msgspec.Struct)

Count = Annotated[int, msgspec.Meta(ge=1)]


class ControllerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[controller]` of a recipe.

    `batch` is tickets a trial; `trials` explore, the first of them with the recipe's own settings. `reward` holds a
    `type` and that type's settings, `options` the agent's settings. `pool` bounds the accepted records that a reward
    may look back on, `evaluators` the rewards computed at once.
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
    seed = seed if spec.seed is None else spec.seed
    space = check_space(parse_space(spec.space, f"{path}.space"), stage_settings, f"{path}.space")
    return Controller(
        build_agent(spec, space, seed, path),
        build_reward(spec.reward, directory, f"{path}.reward"),
        space,
        current_values(space, stage_settings),
        batch=spec.batch,
        trials=spec.trials,
        pool=Pool(spec.pool, seed),
        evaluators=spec.evaluators,
    )


def build_agent(spec: ControllerSpec, space: Space, seed: int, path: str = "$.controller") -> Agent:
    """The agent that the spec names, over the space."""
    return make_agent(spec.agent, spec.options, space, seed, f"{path}.agent", f"{path}.options")


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
