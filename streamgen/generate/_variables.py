"""Variables of the stage `template`: how each is drawn, and what it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from math import exp, floor, isfinite
from random import Random
from statistics import NormalDist
from typing import Annotated, TypeAlias, overload

import msgspec
from msgspec import Meta

from streamgen.generate._person import Persona
from streamgen.record import Value

Weights: TypeAlias = tuple[Annotated[float, Meta(ge=0.0)], ...]
Choices: TypeAlias = Annotated[tuple[Value, ...], Meta(min_length=1)]

_MOST_STEPS = 2**53  # beyond it a random fraction does not reach each of them
_MOST_POISSON = 500.0  # beyond it a normal distribution is as good, and exp(-mean) is 0 at last


class Variable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of: `choices` (with `weights`); `given`, a variable above, with the choices `by` each of its values; a range
    from `low` to `high` (of whole numbers if both are, of days if both are dates as "2024-01-31"); `mean` with
    `deviation`, a normal distribution, which `low` and `high` may cut; `poisson`, a mean; a `person` by Faker, in a
    locale as "en_US"; a `column`.
    """

    choices: Choices | None = None
    weights: Weights | None = None
    given: str | None = None
    by: Mapping[str, Choices] | None = None
    low: int | float | date | None = None
    high: int | float | date | None = None
    mean: float | None = None
    deviation: Annotated[float, Meta(gt=0.0)] | None = None
    poisson: Annotated[float, Meta(gt=0.0, le=1e9)] | None = None
    person: str | None = None
    column: str | None = None

    def check(self, name: str, above: Mapping[str, Variable]) -> None:
        """Raise ValueError where it is not clear what the variable is. `above` are the variables before it."""
        is_range = (self.low is not None or self.high is not None) and self.mean is None
        others = (self.choices, self.given, self.mean, self.poisson, self.person, self.column)
        if is_range + sum(way is not None for way in others) != 1:
            raise ValueError(
                f"variables.{name}: give choices, or low and high, or mean and deviation, or poisson, or person, "
                "or given and by, or column"
            )
        if self.weights is not None:
            self._check_weights(name, self.weights)
        self._check_given(name, above)
        if (self.mean is None) != (self.deviation is None):
            raise ValueError(f"variables.{name}: a normal distribution needs both mean and deviation")
        self._check_range(name, is_range)
        if self.person is not None:
            Persona.check(self.person, f"variables.{name}.person")

    def steps(self) -> Sequence[Value] | None:
        """Every value in order, where there are finitely many that do not depend on others."""
        if self.choices is not None:
            return self.choices
        match self.low, self.high:
            case int(), int() if self.mean is None:
                return range(self.low, self.high + 1)
            case date(), date():
                return _Days(self.low, self.high)
        return None

    def values(self) -> Sequence[Value] | None:
        """All that it may be, also where that depends on another; None where these are not finitely many."""
        return [value for choices in self.by.values() for value in choices] if self.by is not None else self.steps()

    def choices_for(self, columns: Mapping[str, Value]) -> Sequence[Value]:
        """The choices of a conditional variable, where `columns` holds the one that it depends on."""
        assert self.by is not None
        assert self.given is not None
        return self.by[as_key(columns[self.given])]

    def draw(self, rng: Random, columns: Mapping[str, Value]) -> Value:
        """A value by chance: both ends of a range are in it."""
        if self.person is not None:
            return Persona(self.person).drawn(rng)
        return self.at(rng.random(), columns)

    def at(self, share: float, columns: Mapping[str, Value]) -> Value:
        """The value below which the `share` (0 to 1) of all draws lies; `columns` holds the variables above.

        This is what lets a Latin hypercube spread any of the distributions.
        """
        if self.mean is not None and self.deviation is not None:
            return self._normal(share)
        if self.poisson is not None:
            return poisson_at(share, self.poisson)
        if self.weights is not None and self.choices is not None:
            return self.choices[_weighted_place(share, self.weights)]
        steps = self.choices_for(columns) if self.by is not None else self.steps()
        if steps is not None:
            return steps[min(floor(share * len(steps)), len(steps) - 1)]
        assert isinstance(self.low, (int, float))
        assert isinstance(self.high, (int, float))
        return self.low + share * (self.high - self.low)

    def _normal(self, share: float) -> float:
        """A normal distribution; what `low` and `high` cut off is spread over the rest."""
        assert self.mean is not None
        assert self.deviation is not None
        normal = NormalDist(self.mean, self.deviation)
        low = normal.cdf(float(self.low)) if isinstance(self.low, (int, float)) else 0.0
        high = normal.cdf(float(self.high)) if isinstance(self.high, (int, float)) else 1.0
        value = normal.inv_cdf(min(max(low + share * (high - low), 1e-12), 1.0 - 1e-12))
        return min(max(value, _number(self.low, value)), _number(self.high, value))

    def _check_weights(self, name: str, weights: Sequence[float]) -> None:
        if self.choices is None or len(weights) != len(self.choices):
            raise ValueError(f"variables.{name}.weights: give one for each of the {len(self.choices or ())} choices")
        if not (isfinite(sum(weights)) and sum(weights) > 0):
            raise ValueError(f"variables.{name}.weights: at least one must be above 0")

    def _check_given(self, name: str, above: Mapping[str, Variable]) -> None:
        if (self.given is None) != (self.by is None):
            raise ValueError(f"variables.{name}: a conditional choice needs both given and by")
        if self.given is None or self.by is None:
            return
        known = [other for other, variable in above.items() if variable.values() is not None]
        if self.given not in known:
            listed = ", ".join(known) or "none"
            raise ValueError(
                f"variables.{name}.given: {self.given!r} is no variable of choices above it; there is {listed}"
            )
        for value in above[self.given].values() or ():
            if as_key(value) not in self.by:
                raise ValueError(f"variables.{name}.by: it lacks {as_key(value)!r}, which {self.given!r} may be")

    def _check_range(self, name: str, is_range: bool) -> None:
        low, high = self.low, self.high
        if is_range and (low is None or high is None):
            raise ValueError(f"variables.{name}: a range needs both low and high")
        if isinstance(low, date) != isinstance(high, date) and low is not None and high is not None:
            raise ValueError(f"variables.{name}: low and high are both numbers or both dates")
        numbers = [end for end in (low, high, self.mean) if isinstance(end, (int, float))]
        if not all(map(isfinite, numbers)) or (low is not None and high is not None and _above(low, high)):
            raise ValueError(f"variables.{name}: low = {low} is above high = {high}")
        if isinstance(low, int) and isinstance(high, int) and high - low >= _MOST_STEPS:
            raise ValueError(f"variables.{name}: a range of whole numbers has at most {_MOST_STEPS:,} of them")
        if self.mean is not None and (isinstance(low, date) or isinstance(high, date)):
            raise ValueError(f"variables.{name}: a normal distribution is cut by numbers")


class _Days(Sequence[str]):
    """The days from one to another, as ISO 8601 writes them."""

    def __init__(self, first: date, last: date) -> None:
        self._first, self._size = first, (last - first).days + 1

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self[number] for number in range(self._size)[place]]
        return (self._first + timedelta(days=range(self._size)[place])).isoformat()


def as_key(value: Value) -> str:
    """A value as the key that stands for it in `by`."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def poisson_at(share: float, mean: float) -> int:
    """The least count below which, itself included, the `share` of a Poisson distribution lies.

    >>> [poisson_at(share, 2.0) for share in (0.0, 0.5, 0.99)]
    [0, 2, 6]
    """
    if mean > _MOST_POISSON:
        share = min(max(share, 1e-12), 1 - 1e-12)
        return max(0, round(NormalDist(mean, mean**0.5).inv_cdf(share)))
    count, chance = 0, exp(-mean)
    below = chance
    most = int(mean + 20 * mean**0.5 + 50)  # where rounding hides the rest
    while below < share and count < most:
        count += 1
        chance *= mean / count
        below += chance
    return count


def _weighted_place(share: float, weights: Sequence[float]) -> int:
    """The place of the choice in which a share of the sum of all weights lies; one of weight 0 is none."""
    wanted = share * sum(weights)
    found = next((place for place, total in enumerate(accumulate(weights)) if total > wanted), None)
    return max(place for place, weight in enumerate(weights) if weight > 0) if found is None else found


def _above(low: int | float | date, high: int | float | date) -> bool:
    if isinstance(low, date) or isinstance(high, date):
        return isinstance(low, date) and isinstance(high, date) and low > high
    return low > high


def _number(end: int | float | date | None, other: float) -> float:
    return float(end) if isinstance(end, (int, float)) else other
