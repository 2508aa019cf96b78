"""The families of problems, by name."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.tuning.cliff import cliff
from benchmarks.tuning.mixed import mixed8
from benchmarks.tuning.mixture import mixture, mixture_policy
from benchmarks.tuning.peaks import drift, noisy30, peak4
from benchmarks.tuning.textloop import textloop
from benchmarks.tuning.world import World

FAMILIES: dict[str, Callable[[int], World]] = {
    "peak4": peak4,
    "mixed8": mixed8,
    "drift": drift,
    "mixture": mixture,
    "mixture-policy": mixture_policy,
    "textloop": textloop,
    "noisy30": noisy30,
    "cliff": cliff,
}
"""Name -> the family's world of a seed."""
