"""Binds a search space to the stages that it tunes: every name and every value is checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from streamgen.control.space import Categorical, Float, Int, Parameter, Space, by_stage, path_of
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
    free = Space(bound)
    result = Space(bound, lambda settings: _is_allowed(settings, stages)) if _has_gaps(free, stages) else free
    for _ in variants(result, stages, path):
        pass
    _check_defaults(result, stages, path)
    return result


def variants(space: Space, stages: Mapping[str, msgspec.Struct], path: str = "$.controller.space") -> Iterator[Variant]:
    """Each stage's settings with each end and choice of the space: whatever checks a stage can check them too."""
    for name, parameter in space.items():
        stage, setting = _split(name)
        values = parameter.choices if isinstance(parameter, Categorical) else (parameter.low, parameter.high)
        for value in values:
            changed = with_values(stages[stage], {setting: value}, path_of(name, path))
            yield Variant(path_of(name, path), stage, changed)


def current_values(space: Space, stages: Mapping[str, msgspec.Struct]) -> dict[str, Value]:
    """What the recipe itself sets for each name of the space, as JSON values: the first trial's settings."""
    return {
        name: msgspec.to_builtins(getattr(stages[stage], setting))
        for name, (stage, setting) in ((name, _split(name)) for name in space)
    }


def _bound(name: str, parameter: Parameter, stages: Mapping[str, msgspec.Struct], path: str) -> Parameter:
    stage, setting = _split(name)
    here = path_of(name, path)
    if not stage:
        raise RecipeError(f'{name!r} must be written as "stage.setting"', here)
    if stage not in stages:
        raise UnknownName("stage", stage, stages, here)
    if setting not in _field_types(type(stages[stage])):
        raise UnknownName(f"setting of the stage {stage!r}", setting, _field_types(type(stages[stage])), here)
    fractional = isinstance(parameter, Int) and _takes_fractions(stages[stage], setting, parameter)
    return Float(parameter.low, parameter.high, parameter.log) if fractional else parameter  # type: ignore[union-attr]


def _takes_fractions(settings: msgspec.Struct, setting: str, parameter: Int) -> bool:
    try:
        msgspec.convert(parameter.low + 0.5, _field_types(type(settings))[setting])
    except msgspec.ValidationError:
        return False
    return True


def _check_defaults(space: Space, stages: Mapping[str, msgspec.Struct], path: str) -> None:
    for name, value in current_values(space, stages).items():
        # None leaves the value to the endpoint: it has no place in a range, and needs none to be the first trial.
        if value is not None and not space[name].contains(value):
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
    probes = ({name: parameter.decode(place)} for name, parameter in space.items() for place in places)
    return not all(_is_allowed(probe, stages) for probe in probes)


def _is_allowed(settings: Mapping[str, Value], stages: Mapping[str, msgspec.Struct]) -> bool:
    try:
        for stage, values in by_stage(settings).items():
            with_values(stages[stage], values)
    except RecipeError:
        return False
    return True


def _split(name: str) -> tuple[str, str]:
    stage, _, setting = name.rpartition(".")
    return stage, setting


@cache
def _field_types(struct: type[msgspec.Struct]) -> Mapping[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def _listed(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())
