"""The search space as a recipe writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError

from streamgen.control.mixture import OBSERVED, Feature, Mixture
from streamgen.control.parameters import Categorical, Float, Int, Parameter, Simplex, is_number
from streamgen.control.space import Condition, Space
from streamgen.errors import RecipeError, UnknownName
from streamgen.record import Value

FORMS = {  # the key that tells what a parameter is, and all that it may have
    "choices": ("choices", "when"),
    "features": ("simplex", "features", "low", "high", "when"),
    "simplex": ("simplex", "when"),
    "low": ("low", "high", "log", "when"),
}
THETA = 4.0  # at most e^4 = 55 times the share for a feature that is 1 instead of 0


def parse_space(raw: Mapping[str, Value], path: str = "$.controller.space") -> Space:
    """The space that a recipe writes, by `stage.setting`, as

    - `{ low = 0.2, high = 1.5, log = true }`,
    - `{ choices = [...] }`,
    - `{ simplex = ["a", "b", "c"] }`: shares that sum to 1,
    - the same with `features = ["deficit", { prior = { a = 1, b = 0, c = 0 } }]`: shares = softmax(theta . features),
      where theta is tuned from `low` (-4) to `high` (4),

    each with `when = { "stage.method" = "evolve" }` (or a list of values) if it counts only then. A range is of whole
    numbers where both of its ends are, until `check_space` finds that its setting takes fractions.
    """
    if not raw:
        raise RecipeError('the search space is empty: name a setting as "stage.setting" and give its range', path)
    parameters: dict[str, Parameter] = {}
    conditions: dict[str, Condition] = {}
    mixtures: dict[str, Mixture] = {}
    for name, value in raw.items():
        here = path_of(name, path)
        form = _form(value, here)
        if form == "features":
            mixtures[name] = _mixture(value, here)
            added: Mapping[str, Parameter] = dict.fromkeys(mixtures[name].names(name), _theta(value, here))
        else:
            added = {name: _parameter(form, value, here)}
        parameters |= added
        if "when" in value:
            conditions |= dict.fromkeys(added, _condition(value["when"], f"{here}.when"))
    check_conditions(parameters, conditions, path)
    try:
        return Space(parameters, conditions=conditions, mixtures=mixtures)
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise RecipeError(
            f"the conditions go in a circle: {cycle}", f"{path_of(error.args[1][0], path)}.when"
        ) from None


def check_conditions(parameters: Mapping[str, Parameter], conditions: Mapping[str, Condition], path: str) -> None:
    """Raise RecipeError for a condition on what is not in the space, or on a value that it cannot have."""
    for name, condition in conditions.items():
        here = f"{path_of(name, path)}.when"
        for other, values in condition.items():
            if other not in parameters:
                raise UnknownName("parameter of the space", other, parameters, here)
            if not isinstance(parameters[other], Categorical | Int):
                raise RecipeError(f"{other!r} has neither choices nor whole numbers that a condition could name", here)
            for value in values:
                if not parameters[other].contains(value):
                    raise RecipeError(f"{other!r} is never {value!r}", here)


def path_of(name: str, path: str) -> str:
    """Where a parameter of the space stands in the recipe; a theta stands where its mixture does."""
    return f'{path}."{name.partition("[")[0]}"'


def _form(raw: Value, path: str) -> str:
    if not isinstance(raw, Mapping):
        raise RecipeError("expected { low = ..., high = ... }, { choices = [...] } or { simplex = [...] }", path)
    form = next((form for form in ("choices", "features", "simplex") if form in raw), "low")
    for key in raw:
        if key not in FORMS[form]:
            known = FORMS[form] if form != "low" else (*FORMS[form], "choices", "simplex")
            raise UnknownName("key", key, known, path)
    return form


def _parameter(form: str, raw: Mapping[str, Value], path: str) -> Parameter:
    if form == "choices":
        return _categorical(raw, path)
    return Simplex(_parts(raw, path)) if form == "simplex" else _range(raw, path)


def _categorical(raw: Mapping[str, Value], path: str) -> Categorical:
    choices = raw["choices"]
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
        raise RecipeError("`choices` must be a list of at least one value", path)
    for index, choice in enumerate(choices):
        if Categorical(tuple(choices[:index])).contains(choice):
            raise RecipeError(f"{choice!r} stands twice in `choices`", path)
    return Categorical(tuple(choices))


def _range(raw: Mapping[str, Value], path: str) -> Float | Int:
    low, high = _end(raw, "low", path), _end(raw, "high", path)
    log = raw.get("log", False)
    if not isinstance(log, bool):
        raise RecipeError(f"`log` must be true or false, not {log!r}", path)
    if low > high:
        raise RecipeError(f"the range is reversed: low = {low} is above high = {high}", path)
    if low == high:
        raise RecipeError(f"the range holds only {low}: set it in the stage, or widen the range", path)
    if log and low <= 0:
        raise RecipeError(f"a log range must begin above 0, not at {low}", path)
    return Int(low, high, log) if isinstance(low, int) and isinstance(high, int) else Float(low, high, log)


def _end(raw: Mapping[str, Value], key: str, path: str) -> int | float:
    if key not in raw:
        raise RecipeError(f"the range has no `{key}`", path)
    end = raw[key]
    if not is_number(end):
        raise RecipeError(f"`{key}` must be a finite number, not {end!r}", path)
    return end


def _parts(raw: Mapping[str, Value], path: str) -> tuple[str, ...]:
    parts = raw.get("simplex")
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not all(isinstance(part, str) for part in parts):
        raise RecipeError("`simplex` must be a list of the parts' names", path)
    if len(parts) < 2:
        raise RecipeError("a simplex needs at least two parts that share", path)
    if twice := _repeated(parts):
        raise RecipeError(f"{twice!r} stands twice in `simplex`", path)
    return tuple(parts)


def _mixture(raw: Mapping[str, Value], path: str) -> Mixture:
    parts, features = _parts(raw, path), raw["features"]
    if not isinstance(features, Sequence) or isinstance(features, str) or not features:
        raise RecipeError('`features` must be a list such as ["deficit", { prior = { a = 1, b = 0 } }]', path)
    found = tuple(_feature(feature, parts, f"{path}.features[{index}]") for index, feature in enumerate(features))
    if twice := _repeated(feature.name for feature in found):
        raise RecipeError(f"the feature {twice!r} is there twice", path)
    return Mixture(parts, found)


def _feature(raw: Value, parts: Sequence[str], path: str) -> Feature:
    if isinstance(raw, str):
        if raw not in OBSERVED:
            raise UnknownName("observed feature", raw, OBSERVED, path)
        return Feature(raw)
    if not isinstance(raw, Mapping) or len(raw) != 1:
        raise RecipeError("expected an observed feature's name, or { name = { part = number, ... } }", path)
    ((name, constants),) = raw.items()
    if (
        not isinstance(constants, Mapping)
        or constants.keys() != set(parts)
        or not all(map(is_number, constants.values()))
    ):
        raise RecipeError(f"the feature {name!r} needs a number for each of {', '.join(parts)}", path)
    return Feature(name, constants)


def _theta(raw: Mapping[str, Value], path: str) -> Float:
    found = _range({"low": -THETA, "high": THETA, **{key: raw[key] for key in ("low", "high") if key in raw}}, path)
    return Float(found.low, found.high)


def _condition(raw: Value, path: str) -> Condition:
    if not isinstance(raw, Mapping) or not raw:
        raise RecipeError('expected a condition such as { "stage.method" = "evolve" }, or a list of values', path)
    condition = {name: tuple(value) if isinstance(value, list | tuple) else (value,) for name, value in raw.items()}
    for name, values in condition.items():
        if not values:
            raise RecipeError(f"no value of {name!r} is given: the parameter would never count", path)
    return condition


def _repeated(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)
