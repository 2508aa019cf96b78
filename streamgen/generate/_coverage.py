"""How tickets cover the values of variables: every combination in turn, or evenly by a Latin hypercube."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from random import Random
from typing import TypeVar, overload

from streamgen.context import Context
from streamgen.generate._variables import Variable
from streamgen.record import Columns, Value
from streamgen.settings import Settings

S = TypeVar("S", bound=Settings)


def combination(variables: Mapping[str, Variable], ticket: int) -> Columns:
    """The combination with the number `ticket`, counted in mixed radix, the last variable fastest.

    A variable with conditional ones below it is one digit: its values, each with all that go with it.
    """
    digits = _digits(variables)
    number = ticket % prod(map(len, digits))
    found: Columns = {}
    for values in reversed(digits):
        number, digit = divmod(number, len(values))
        found.update(values[digit])
    return found


_KEPT = 64
_known: dict[int, tuple[Mapping[str, Variable], Sequence[Sequence[Columns]]]] = {}  # by identity: no hash


def _digits(variables: Mapping[str, Variable]) -> Sequence[Sequence[Columns]]:
    known = _known.get(id(variables))
    if known is not None and known[0] is variables:
        return known[1]
    digits = [_family(name, variables) for name, variable in variables.items() if variable.steps() is not None]
    if len(_known) >= _KEPT:
        del _known[next(iter(_known))]
    _known[id(variables)] = variables, digits
    return digits


class _Single(Sequence[Columns]):
    """The values of a variable on which no other depends; a range may be long, and is not written out."""

    def __init__(self, name: str, steps: Sequence[Value]) -> None:
        self._name, self._steps = name, steps

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, place: int) -> Columns: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Columns]: ...
    def __getitem__(self, place: int | slice) -> Columns | Sequence[Columns]:
        if isinstance(place, slice):
            return _Single(self._name, self._steps[place])
        return {self._name: self._steps[place]}


def _family(name: str, variables: Mapping[str, Variable]) -> Sequence[Columns]:
    steps = variables[name].steps() or ()
    if not any(variable.given == name for variable in variables.values()):
        return _Single(name, steps)
    return [columns for value in steps for columns in _with_dependents({name: value}, name, variables)]


def _with_dependents(columns: Columns, name: str, variables: Mapping[str, Variable]) -> list[Columns]:
    """Each way to give values to all that depends on a variable, and to what depends on these."""
    branches = [
        [
            below
            for value in variable.choices_for(columns)
            for below in _with_dependents({other: value}, other, variables)
        ]
        for other, variable in variables.items()
        if variable.given == name
    ]
    return [
        {**columns, **{key: value for part in parts for key, value in part.items()}} for parts in product(*branches)
    ]


def share_of(name: str, strata: int, context: Context[S]) -> float:
    """A ticket's place, from 0 to 1, in the distribution of a variable: one in each stratum of a block of tickets."""
    block, place = divmod(context.ticket, strata)
    order = context.shared_rng(f"{name}/{block}").getrandbits(64)
    return (_order(order, strata)[place] + context.rng.random()) / strata


@lru_cache(maxsize=256)
def _order(seed: int, strata: int) -> Sequence[int]:
    """The strata of a block's tickets, shuffled."""
    order = array("l", range(strata))
    Random(seed).shuffle(order)
    return order
