"""Binds a search space to the stages that it tunes: every name and every value is checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from streamgen.control.parameters import Categorical, Float, Int, Parameter, Simplex
from streamgen.control.space import Space, by_stage
from streamgen.control.space_recipe import check_conditions, path_of
from streamgen.errors import RecipeError, UnknownName
from streamgen.record import Value
from streamgen.settings import Settings

S = TypeVar("S", bound=msgspec.Struct)

PROBES = 33  # places of a range that are tried at its field


class Variant(NamedTuple):
    """One stage's settings with one value of the space in them, and where in the recipe that value stands."""

    path: str
    stage: str
    settings: msgspec.Struct


def with_values(settings: S, values: Mapping[str, Value], path: str = "") -> S:
    """The settings with these fields replaced, converted to the fields' types and checked.

    Raises RecipeError for a value that the field, or the struct's own `check`, does not take.
    """
    types = _field_types(type(settings))
    try:
        converted = {name: msgspec.convert(value, types[name]) for name, value in values.items()}
        changed = msgspec.structs.replace(settings, **converted)
        if isinstance(changed, Settings):
            changed.check()
    except (msgspec.ValidationError, ValueError) as error:
        raise RecipeError(f"the stage does not take {_listed(values)}: {error}", path) from None
    return changed


def check_space(space: Space, stages: Mapping[str, msgspec.Struct], path: str = "$.controller.space") -> Space:
    """The space bound to the stages' settings: ranges over fractional fields become `Float`, and `allows` is set.

    Raises UnknownName for a stage or setting that is not there, and RecipeError for ends, choices or current values
    that do not fit.
    """
    bound = {name: _bound(name, parameter, stages, path) for name, parameter in space.items()}
    check_conditions(bound, space.conditions, path)
    result = Space(bound, conditions=space.conditions, mixtures=space.mixtures)
    if _has_gaps(result, stages):
        allows = partial(_is_allowed, stages=stages)
        result = Space(bound, allows, space.conditions, space.mixtures)
    for _ in variants(result, stages, path):
        pass
    _check_defaults(result, stages, path)
    return result


def variants(space: Space, stages: Mapping[str, msgspec.Struct], path: str = "$.controller.space") -> Iterator[Variant]:
    """Each stage's settings with each end and choice of the space: whatever checks a stage can check them too."""
    for name, values in _extremes(space):
        stage, setting = _split(name)
        needed = by_stage(_needed(space, name)).get(stage, {})
        for value in values:
            changed = with_values(stages[stage], {**needed, setting: value}, path_of(name, path))
            yield Variant(path_of(name, path), stage, changed)


def current_values(space: Space, stages: Mapping[str, msgspec.Struct]) -> dict[str, Value]:
    """What the recipe itself sets for each active name of the space, as JSON values: the first trial's settings.

    A mixture's theta is None: the first trial has the stage's own shares.
    """
    thetas = _thetas(space)
    return space.active(
        {
            name: None if name in thetas else msgspec.to_builtins(getattr(stages[stage], setting))
            for name, (stage, setting) in ((name, _split(name)) for name in space)
        }
    )


def _extremes(space: Space) -> Iterator[tuple[str, Iterable[Value]]]:
    """The ends, choices and corners of every setting that the space tunes."""
    thetas = _thetas(space)
    for name, parameter in space.items():
        if isinstance(parameter, Categorical):
            yield name, parameter.choices
        elif isinstance(parameter, Simplex):
            yield name, _corners(parameter.parts)
        elif name not in thetas:
            yield name, (parameter.low, parameter.high)
    for name, mixture in space.mixtures.items():
        yield name, _corners(mixture.parts)


def _corners(parts: tuple[str, ...]) -> list[dict[str, float]]:
    return [dict.fromkeys(parts, 0.0) | {part: 1.0} for part in parts]


def _needed(space: Space, name: str) -> dict[str, Value]:
    """Values with which a parameter is active."""
    name = space.mixtures[name].names(name)[0] if name in space.mixtures else name
    needed: dict[str, Value] = {}
    for other, values in space.conditions.get(name, {}).items():
        needed |= {**_needed(space, other), other: values[0]}
    return needed


def _thetas(space: Space) -> set[str]:
    return {name for setting, mixture in space.mixtures.items() for name in mixture.names(setting)}


def _bound(name: str, parameter: Parameter, stages: Mapping[str, msgspec.Struct], path: str) -> Parameter:
    stage, setting = _split(name)
    here = path_of(name, path)
    if not stage:
        raise RecipeError(f'{name!r} must be written as "stage.setting"', here)
    if stage not in stages:
        raise UnknownName("stage", stage, stages, here)
    if setting not in _field_types(type(stages[stage])):
        raise UnknownName(f"setting of the stage {stage!r}", setting, _field_types(type(stages[stage])), here)
    if isinstance(parameter, Int) and _takes_fractions(stages[stage], setting, parameter):
        return Float(parameter.low, parameter.high, parameter.log)
    return parameter


def _takes_fractions(settings: msgspec.Struct, setting: str, parameter: Int) -> bool:
    try:
        msgspec.convert(parameter.low + 0.5, _field_types(type(settings))[setting])
    except msgspec.ValidationError:
        return False
    return True


def _check_defaults(space: Space, stages: Mapping[str, msgspec.Struct], path: str) -> None:
    for name, value in current_values(space, stages).items():
        # None leaves the value to the endpoint, {} the shares to the stage: the first trial needs no place for it.
        if value not in (None, {}) and not space[name].contains(value):
            raise RecipeError(
                f"the first trial runs the recipe's own value, {value!r}, which the space does not hold: "
                "widen the space or change the stage's setting",
                path_of(name, path),
            )


def _has_gaps(space: Space, stages: Mapping[str, msgspec.Struct]) -> bool:
    """Whether a stage may refuse settings within the space: it looks at them together, or a field takes only some."""
    tuned = {type(stages[_split(name)[0]]) for name in space}
    if any(issubclass(kind, Settings) and kind.check is not Settings.check for kind in tuned):
        return True
    places = [index / (PROBES - 1) for index in range(PROBES)]
    thetas = _thetas(space)
    ranges = [(name, each) for name, each in space.items() if isinstance(each, Float | Int) and name not in thetas]
    return not all(_is_allowed({name: each.decode(place)}, stages) for name, each in ranges for place in places)


def _is_allowed(settings: Mapping[str, Value], stages: Mapping[str, msgspec.Struct]) -> bool:
    try:
        for stage, values in by_stage(settings).items():
            with_values(stages[stage], values)
    except RecipeError:
        return False
    return True


def _split(name: str) -> tuple[str, str]:
    """The stage and the setting that a parameter belongs to, a mixture's theta too."""
    stage, _, setting = name.partition("[")[0].rpartition(".")
    return stage, setting


@cache
def _field_types(struct: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def _listed(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())
