"""The search space: which settings of which stages may change, and over what."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeGuard

import msgspec

from streamgen.errors import FatalError, RecipeError, UnknownName
from streamgen.record import Value

RANGE_KEYS = ("low", "high", "log")
MAX_TRIES = 1000  # draws until a combination that the stages allow; a space that needs more is mostly forbidden


class Uniform(Protocol):
    """Draws from [0, 1): `random.Random` and NumPy's `Generator` both do."""

    def random(self) -> float:
        """The next draw."""
        ...


class Float(msgspec.Struct, frozen=True):
    """A range of real numbers, both ends included; `log` spaces it evenly in the logarithm."""

    low: float
    high: float
    log: bool = False

    def contains(self, value: Value) -> bool:
        """Whether the value is a number within the range."""
        return _is_number(value) and self.low <= value <= self.high

    def encode(self, value: Value) -> float:
        """The value's place in [0, 1]."""
        low, high = _scaled(self.low, self.log), _scaled(self.high, self.log)
        return (_scaled(value, self.log) - low) / (high - low)

    def decode(self, place: float) -> float:
        """The value at a place in [0, 1]."""
        low, high = _scaled(self.low, self.log), _scaled(self.high, self.log)
        value = low + place * (high - low)
        return min(max(math.exp(value) if self.log else value, self.low), self.high)


class Int(msgspec.Struct, frozen=True):
    """A range of whole numbers, both ends included; each owns an equal cell of [0, 1] (with `log`, of its logarithm).

    >>> Int(1, 4).decode(0.99), Int(1, 4).encode(1)
    (4, 0.125)
    """

    low: int
    high: int
    log: bool = False

    def contains(self, value: Value) -> bool:
        """Whether the value is a whole number within the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def encode(self, value: Value) -> float:
        """The middle of the value's cell of [0, 1]."""
        cells = Float(self.low, self.high + 1, self.log)
        return (cells.encode(value) + cells.encode(value + 1)) / 2

    def decode(self, place: float) -> int:
        """The value whose cell holds this place in [0, 1]."""
        return min(math.floor(Float(self.low, self.high + 1, self.log).decode(place)), self.high)


class Categorical(msgspec.Struct, frozen=True):
    """A choice among values without an order; each owns an equal cell of [0, 1]."""

    choices: tuple[Value, ...]

    def contains(self, value: Value) -> bool:
        """Whether the value is one of the choices (1 and true are two values)."""
        return any(_is_same(value, choice) for choice in self.choices)

    def encode(self, value: Value) -> float:
        """The middle of the value's cell of [0, 1]."""
        index = next(index for index, choice in enumerate(self.choices) if _is_same(value, choice))
        return (index + 0.5) / len(self.choices)

    def decode(self, place: float) -> Value:
        """The choice whose cell holds this place in [0, 1]."""
        return self.choices[min(int(place * len(self.choices)), len(self.choices) - 1)]


Parameter: TypeAlias = Float | Int | Categorical


def _anything(_: Mapping[str, Value]) -> bool:
    return True


class Space(Mapping[str, Parameter]):
    """Parameters by `stage.setting`, in the recipe's order, and which of their combinations the stages allow."""

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        allows: Callable[[Mapping[str, Value]], bool] = _anything,
    ) -> None:
        self._parameters = dict(parameters)
        self.allows = allows

    @property
    def is_constrained(self) -> bool:
        """Whether there may be combinations that the stages do not allow."""
        return self.allows is not _anything

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"Space({self._parameters})"

    def contains(self, settings: Mapping[str, Value]) -> bool:
        """Whether the settings name every parameter and no other, each within its range, and are allowed together."""
        return (
            settings.keys() == self.keys()
            and all(parameter.contains(settings[name]) for name, parameter in self.items())
            and self.allows(settings)
        )

    def encode(self, settings: Mapping[str, Value]) -> tuple[float, ...]:
        """The settings as a point of the unit cube, one coordinate a parameter; they must be in the space."""
        return tuple(parameter.encode(settings[name]) for name, parameter in self.items())

    def decode(self, point: Sequence[float]) -> dict[str, Value]:
        """The settings at a point of the unit cube.

        >>> Space({"a.t": Float(0.0, 2.0), "a.m": Categorical(("x", "y"))}).decode([0.25, 0.75])
        {'a.t': 0.5, 'a.m': 'y'}
        """
        return {name: parameter.decode(place) for (name, parameter), place in zip(self.items(), point, strict=True)}

    def sample(self, rng: Uniform) -> dict[str, Value]:
        """Settings drawn uniformly from what is allowed."""
        for _ in range(MAX_TRIES):
            settings = self.decode([rng.random() for _ in self])
            if self.allows(settings):
                return settings
        raise FatalError(f"{MAX_TRIES} draws from the search space gave no settings that the stages allow: narrow it")


def parse_space(raw: Mapping[str, Value], path: str = "$.controller.space") -> Space:
    """The space that a recipe writes as `{ low = 0.2, high = 1.5, log = true }` or `{ choices = [...] }`.

    A range is of whole numbers where both of its ends are, until `check_space` finds that its setting takes fractions.
    """
    if not raw:
        raise RecipeError('the search space is empty: name a setting as "stage.setting" and give its range', path)
    return Space({name: _parameter(value, path_of(name, path)) for name, value in raw.items()})


def path_of(name: str, path: str) -> str:
    """Where a setting of the space stands in the recipe."""
    return f'{path}."{name}"'


def by_stage(settings: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """The settings grouped by stage.

    >>> by_stage({"answer.temperature": 0.7})
    {'answer': {'temperature': 0.7}}
    """
    grouped: dict[str, dict[str, Value]] = {}
    for name, value in settings.items():
        stage, _, setting = name.rpartition(".")
        grouped.setdefault(stage, {})[setting] = value
    return grouped


def _parameter(raw: Value, path: str) -> Parameter:
    if not isinstance(raw, Mapping):
        raise RecipeError("expected { low = ..., high = ... } or { choices = [...] }", path)
    known = ("choices",) if "choices" in raw else RANGE_KEYS
    for key in raw:
        if key not in known:
            raise UnknownName("key", key, {*known} if "choices" in raw else {*known, "choices"}, path)
    return _categorical(raw["choices"], path) if "choices" in raw else _range(raw, path)


def _categorical(choices: Value, path: str) -> Categorical:
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
    if not _is_number(end):
        raise RecipeError(f"`{key}` must be a finite number, not {end!r}", path)
    return end


def _is_number(value: Value) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_same(left: Any, right: Any) -> bool:
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value
