"""The axes of a run's search space: where each trial's settings stand on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError

import msgspec

from streamgen.control.parameters import Categorical, Float, Int, Parameter, Simplex, is_number
from streamgen.control.space import Space
from streamgen.control.space_recipe import parse_space
from streamgen.errors import RecipeError
from streamgen.record import Value
from streamgen.report.text import middle_cut, number, shown

LONGEST_NAME = 40


class Axis(msgspec.Struct, frozen=True):
    """One axis: a parameter, or one part of a parameter that shares something out."""

    name: str
    parameter: Parameter
    part: str | None = None

    @property
    def title(self) -> str:
        """The axis's name; of a long one both ends, since settings differ in their last words."""
        return middle_cut(self.name if self.part is None else f"{self.name}: {self.part}", LONGEST_NAME)

    @property
    def choices(self) -> Sequence[Value]:
        """What there is to choose from; nothing on an axis of numbers."""
        return self.parameter.choices if isinstance(self.parameter, Categorical) else ()

    def value(self, settings: Mapping[str, Value]) -> Value:
        """What settings have on this axis, None where it is left to the stage or does not count."""
        found: Value = settings.get(self.name)
        if not isinstance(self.parameter, Simplex) or self.part is None:
            return found
        return self.parameter.shares(found)[self.part] if self.parameter.contains(found) else None

    def place(self, settings: Mapping[str, Value]) -> float | None:
        """Where the settings stand, from 0 to 1; None where they have no value."""
        value = self.value(settings)
        if isinstance(self.parameter, Simplex):
            return value if is_number(value) else None
        if isinstance(self.parameter, Categorical):
            return self.parameter.encode(value) if value is not None and self.parameter.contains(value) else None
        return min(max(self.parameter.encode(value), 0.0), 1.0) if is_number(value) else None

    def at(self, place: float, settings: Mapping[str, Value]) -> dict[str, Value]:
        """The settings, moved to this place of the axis; other parts keep their ratio to each other."""
        if isinstance(self.parameter, Simplex):
            return {**settings, self.name: _moved(self.parameter, settings.get(self.name), self.part or "", place)}
        return {**settings, self.name: self.parameter.decode(place)}

    def ticks(self) -> list[tuple[float, str]]:
        """Places with their texts: both ends, or every choice."""
        if isinstance(self.parameter, Categorical):
            choices = self.parameter.choices
            return [((index + 0.5) / len(choices), text_of(choice)) for index, choice in enumerate(choices)]
        if isinstance(self.parameter, Simplex):
            return [(0.0, "0"), (1.0, "1")]
        return [(0.0, number(self.parameter.low)), (1.0, number(self.parameter.high))]


def text_of(value: Value) -> str:
    """A setting's value, short enough for a label."""
    return number(value) if is_number(value) else "-" if value is None else shown(value, 40)


def axes_of(space: Space) -> list[Axis]:
    """All axes of a space, in its order."""
    return list(_axes(space))


def _axes(space: Mapping[str, Parameter]) -> Iterator[Axis]:
    for name, parameter in space.items():
        if isinstance(parameter, Simplex):
            yield from (Axis(name, parameter, part) for part in parameter.parts)
        else:
            yield Axis(name, parameter)


def space_of(raw: Mapping[str, Value], tried: Sequence[Mapping[str, Value]]) -> Space:
    """The space that the recipe writes, or where that cannot be read, one that holds what was tried."""
    try:
        space = parse_space(raw)
    except (RecipeError, CycleError):
        return Space({name: _guessed([s[name] for s in tried if name in s]) for name in _names(tried)})
    parameters = {name: _widened(parameter, name, tried) for name, parameter in space.items()}
    return Space(parameters, conditions=space.conditions, mixtures=space.mixtures)


def shares_of(space: Space) -> Space:
    """What the space's mixtures come to: shares that are not tuned themselves."""
    return Space({name: Simplex(mixture.parts) for name, mixture in space.mixtures.items()})


def _names(tried: Sequence[Mapping[str, Value]]) -> list[str]:
    return list(dict.fromkeys(name for settings in tried for name in settings))


def _widened(parameter: Parameter, name: str, tried: Sequence[Mapping[str, Value]]) -> Parameter:
    """A range of whole numbers is one of fractions where fractions were tried: its stage takes them."""
    values = [settings.get(name) for settings in tried]
    if isinstance(parameter, Int) and any(isinstance(value, float) and value % 1 for value in values):
        return Float(parameter.low, parameter.high, parameter.log)
    return parameter


def _guessed(values: Sequence[Value]) -> Parameter:
    numbers = [value for value in values if is_number(value)]
    if len(numbers) == len(values) and min(numbers) < max(numbers):
        return Float(min(numbers), max(numbers))
    seen: list[Value] = []
    for value in values:
        if not Categorical(tuple(seen)).contains(value):
            seen.append(value)
    return Categorical(tuple(seen))


def _moved(parameter: Simplex, value: Value, moved: str, share: float) -> dict[str, float]:
    shares = (
        parameter.shares(value) if parameter.contains(value) else parameter.shares(dict.fromkeys(parameter.parts, 1.0))
    )
    rest = 1 - shares[moved]
    others = len(parameter.parts) - 1
    scaled = {
        part: (1 - share) * (old / rest if rest > 0 else 1 / others) for part, old in shares.items() if part != moved
    }
    return {part: scaled.get(part, share) for part in parameter.parts}
