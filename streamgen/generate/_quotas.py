"""Whose turn it is where some are wanted more often than others."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import gcd

LONGEST_CYCLE = 100_000


def mixed(quotas: Mapping[str, int], ticket: int) -> str:
    """The name whose turn it is: each has as many turns as its quota in every cycle, spread evenly.

    The k-th of n turns stands at (k + 1/2) / n of the cycle; one of a quota of 0 never comes.

    >>> "".join(mixed({"a": 4, "b": 2, "c": 0}, ticket) for ticket in range(12))
    'abaabaabaaba'
    """
    places = _cycle(tuple(quotas.values()))
    return list(quotas)[places[ticket % len(places)]]


def cycle_length(quotas: Mapping[str, int]) -> int:
    """After how many turns they begin anew."""
    return sum(quotas.values()) // max(gcd(*quotas.values()), 1)


@lru_cache(maxsize=32)
def _cycle(wanted: tuple[int, ...]) -> Sequence[int]:
    divisor = gcd(*wanted)
    turns = [
        ((2 * k + 1) / (2 * (count // divisor)), place)
        for place, count in enumerate(wanted)
        for k in range(count // divisor)
    ]
    return array("l", [place for _, place in sorted(turns)])
