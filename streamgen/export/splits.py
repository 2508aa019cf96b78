"""Which file of a split data set each record goes to: shares to the record, strata alike, families whole."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from random import Random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamgen.errors import RecipeError

Ints: TypeAlias = NDArray[np.integer]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_EXAMPLE = "train=0.9,test=0.1"


def shares_of(text: str) -> Mapping[str, Fraction]:
    """Shares by the split's name, out of `train=0.9,test=0.1`. Raises RecipeError where they do not add up to 1."""
    shares: dict[str, Fraction] = {}
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        if not _NAME.fullmatch(name) or name in shares:
            raise RecipeError(f"--split {text}: {name!r} is no new name of letters, digits and _; write {_EXAMPLE}")
        shares[name] = _share(text, share)
    if (total := sum(shares.values())) != 1:
        raise RecipeError(f"--split {text}: the shares add up to {float(total):g}, they have to add up to 1")
    return shares


def _share(text: str, share: str) -> Fraction:
    try:
        value = Fraction(share)
    except (ValueError, ZeroDivisionError):
        raise RecipeError(f"--split {text}: {share!r} is no share; write {_EXAMPLE}") from None
    if 0 < value <= 1:
        return value
    raise RecipeError(f"--split {text}: {share} is no share; it has to be above 0 and at most 1")


def largest_remainder(count: int, shares: Sequence[Fraction]) -> list[int]:
    """How many of `count` each share gets: its whole part, and those with the largest remainders one more.

    >>> largest_remainder(10, [Fraction("0.75"), Fraction("0.15"), Fraction("0.1")])
    [8, 1, 1]
    """
    exact = [count * share for share in shares]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda n: (counts[n] - exact[n], n))
    for n in by_remainder[: count - sum(counts)]:
        counts[n] += 1
    return counts


def assigned(families: Sequence[int], strata: Sequence[int], shares: Sequence[Fraction], seed: int) -> Sequence[int]:
    """The split of each record, by its number among `shares`.

    `families` and `strata` number each record's family and stratum. A family stays whole. The splits' sizes are those
    of the largest remainder, unless families are too large for it; each stratum is divided as nearly alike as that
    allows. The largest families go first, each where most of its strata are wanted; single records fill up, stratum
    by stratum, and what a stratum leaves of a share is carried to the next.
    """
    if not len(strata):
        return array("H")
    of_family, of_stratum = np.asarray(families), np.asarray(strata)
    _, family, sizes = np.unique(of_family, return_inverse=True, return_counts=True)
    order = array("q", range(len(strata)))
    Random(seed).shuffle(order)
    shuffled = np.asarray(order)
    is_single = (sizes[family] == 1)[shuffled]
    places = _Places(of_stratum, shares)
    for unit in sorted(_units(shuffled[~is_single], of_family), key=len, reverse=True):
        places.put_family(unit)
    singles = shuffled[is_single]
    places.put_singles(singles[np.argsort(of_stratum[singles], kind="stable")])
    return places.split


def _units(records: Iterable[int], of_family: Ints) -> Iterable[list[int]]:
    """The records of each family, in the order of its first."""
    members: dict[int, list[int]] = defaultdict(list)
    for record in records:
        members[of_family[record]].append(record)
    return members.values()


class _Places:
    """`room` is what each split still takes, `wanted` what each stratum still wants in each split."""

    def __init__(self, strata: Ints, shares: Sequence[Fraction]) -> None:
        self.split = array("H", bytes(2 * len(strata)))
        self._strata = strata
        self._room = largest_remainder(len(strata), shares)
        found, sizes = np.unique(strata, return_counts=True)
        parts = [float(share) for share in shares]
        self._wanted = {
            stratum: [part * size for part in parts]
            for stratum, size in zip(found.tolist(), sizes.tolist(), strict=True)
        }

    def put_family(self, unit: Sequence[int]) -> None:
        """All of it into one split with room for it, or into the one with the most room."""
        fitting = [n for n, room in enumerate(self._room) if room >= len(unit)]
        wanted = [sum(self._wanted[self._strata[record]][n] for record in unit) for n in range(len(self._room))]
        if fitting:
            chosen = max(fitting, key=lambda n: (wanted[n], self._room[n], -n))
        else:
            chosen = max(range(len(self._room)), key=lambda n: (self._room[n], -n))
        for record in unit:
            self._put(record, chosen, self._wanted[self._strata[record]])

    def put_singles(self, records: Iterable[int]) -> None:
        """Each where its stratum wants it most; the records come stratum by stratum."""
        carried = [0.0] * len(self._room)
        for stratum, own in groupby(records, lambda record: self._strata[record]):
            wanted = [mine + rest for mine, rest in zip(self._wanted[stratum], carried, strict=True)]
            for record in own:
                open_ = [n for n, room in enumerate(self._room) if room > 0]
                self._put(record, max(open_, key=lambda n: (wanted[n], self._room[n], -n)), wanted)
            carried = wanted

    def _put(self, record: int, chosen: int, wanted: list[float]) -> None:
        self.split[record] = chosen
        self._room[chosen] -= 1
        wanted[chosen] -= 1
