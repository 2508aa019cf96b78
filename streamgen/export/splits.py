"""Which file of a split data set each record goes to: shares to the record, strata alike, families whole."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from random import Random

from streamgen.errors import RecipeError

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


def assigned(families: Sequence[int], strata: Sequence[int], shares: Sequence[Fraction], seed: int) -> list[int]:
    """The split of each record, by its number among `shares`.

    `families` and `strata` number each record's family and stratum. A family stays whole. The splits' sizes are those
    of the largest remainder, unless families are too large for it; each stratum is divided as nearly alike as that
    allows. The largest families go first, each where most of its strata are wanted; single records fill up, stratum
    by stratum, and what a stratum leaves of a share is carried to the next.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for record, family in enumerate(families):
        members[family].append(record)
    places = _Places(strata, shares)
    units = list(members.values())
    Random(seed).shuffle(units)
    for unit in sorted((unit for unit in units if len(unit) > 1), key=len, reverse=True):
        places.put_family(unit)
    singles: dict[int, list[int]] = defaultdict(list)
    for unit in units:
        if len(unit) == 1:
            singles[strata[unit[0]]].append(unit[0])
    places.put_singles(singles)
    return places.split


class _Places:
    """`room` is what each split still takes, `wanted` what each stratum still wants in each split."""

    def __init__(self, strata: Sequence[int], shares: Sequence[Fraction]) -> None:
        self.split = [0] * len(strata)
        self._strata = strata
        self._room = largest_remainder(len(strata), shares)
        sizes: dict[int, int] = defaultdict(int)
        for stratum in strata:
            sizes[stratum] += 1
        parts = [float(share) for share in shares]
        self._wanted = {stratum: [part * size for part in parts] for stratum, size in sizes.items()}

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

    def put_singles(self, singles: Mapping[int, Sequence[int]]) -> None:
        """Each where its stratum wants it most."""
        carried = [0.0] * len(self._room)
        for stratum, records in sorted(singles.items()):
            wanted = [own + rest for own, rest in zip(self._wanted[stratum], carried, strict=True)]
            for record in records:
                open_ = [n for n, room in enumerate(self._room) if room > 0] or range(len(self._room))
                self._put(record, max(open_, key=lambda n: (wanted[n], self._room[n], -n)), wanted)
            carried = wanted

    def _put(self, record: int, chosen: int, wanted: list[float]) -> None:
        self.split[record] = chosen
        self._room[chosen] -= 1
        wanted[chosen] -= 1
