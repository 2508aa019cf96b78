"""What a setting may be tuned over: ranges, choices, shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeGuard

import msgspec

from streamgen.record import Value


class Float(msgspec.Struct, frozen=True):
    """A range of real numbers, both ends included; `log` spaces it evenly in the logarithm."""

    low: float
    high: float
    log: bool = False

    def contains(self, value: Value) -> bool:
        """Whether the value is a number within the range."""
        return is_number(value) and self.low <= value <= self.high

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
        return any(is_same(value, choice) for choice in self.choices)

    def encode(self, value: Value) -> float:
        """The middle of the value's cell of [0, 1]."""
        index = next(index for index, choice in enumerate(self.choices) if is_same(value, choice))
        return (index + 0.5) / len(self.choices)

    def decode(self, place: float) -> Value:
        """The choice whose cell holds this place in [0, 1]."""
        return self.choices[min(int(place * len(self.choices)), len(self.choices) - 1)]


class Simplex(msgspec.Struct, frozen=True):
    """Shares of named parts that sum to 1 (quotas of classes, a mixture of methods): each part mapped to its share.

    >>> Simplex(("a", "b", "c")).decode([0.75, 0.5])
    {'a': 0.5, 'b': 0.25, 'c': 0.25}
    """

    parts: tuple[str, ...]

    @property
    def places(self) -> int:
        """How many coordinates of the unit cube the shares take: one is what the others leave."""
        return len(self.parts) - 1

    def contains(self, value: Value) -> bool:
        """Whether the value has a weight, 0 or more, for exactly these parts; what counts is their ratio."""
        return (
            isinstance(value, Mapping)
            and value.keys() == set(self.parts)
            and all(is_number(weight) and weight >= 0 for weight in value.values())
            and sum(value.values()) > 0
        )

    def shares(self, value: Mapping[str, float]) -> dict[str, float]:
        """The weights, divided by their sum; equal ones where all are 0."""
        total = sum(value.values())
        return {part: value[part] / total if total else 1 / len(self.parts) for part in self.parts}

    def encode(self, value: Mapping[str, float]) -> list[float]:
        """The shares' place in the unit cube: `decode` gives them back."""
        places, rest, shares = [], 1.0, self.shares(value)
        for left, part in zip(range(self.places, 0, -1), self.parts, strict=False):
            stick = min(shares[part] / rest, 1.0) if rest > 0 else 0.0
            places.append(1 - (1 - stick) ** left)
            rest -= shares[part]
        return places

    def decode(self, places: Sequence[float]) -> dict[str, float]:
        """The shares at a place in the unit cube.

        Evenly spread places give evenly spread shares (Dirichlet with all parameters 1): a part gets a Beta(1, parts
        left) portion of what the parts before it left (stick breaking; Sethuraman 1994).
        """
        shares, rest = [], 1.0
        for left, place in zip(range(self.places, 0, -1), places, strict=True):
            shares.append(rest * (1 - (1 - place) ** (1 / left)))
            rest -= shares[-1]
        return dict(zip(self.parts, [*shares, max(rest, 0.0)], strict=True))


Parameter: TypeAlias = Float | Int | Categorical | Simplex


def is_number(value: Value) -> TypeGuard[int | float]:
    """Whether the value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of one kind: 1 and true are not."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value
