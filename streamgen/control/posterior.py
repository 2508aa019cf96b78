"""How good tried settings are believed to be: rewards, drawn towards their mean by their uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean, pvariance

import msgspec

from streamgen.control.agent import Reward
from streamgen.record import Value


class Evidence(msgspec.Struct):
    """What the rewards of some settings add up to: it does not grow, however often they are told."""

    settings: Mapping[str, Value]
    worked: int = 0
    failed: int = 0
    mean: float = 0.0
    squares: float = 0.0  # of the deviations from the mean (Welford 1962)
    known: float = 0.0  # variances that came with the rewards, summed
    unknown: float = 0.0  # 1 / records of each reward that came without one, summed
    records: int = 0

    def add(self, reward: Reward) -> None:
        """Take in one more reward."""
        if reward.value is None:
            self.failed += 1
            return
        self.worked += 1
        deviation = reward.value - self.mean
        self.mean += deviation / self.worked
        self.squares += deviation * (reward.value - self.mean)
        self.records += max(reward.n, 1)
        if reward.se is None:
            self.unknown += 1 / max(reward.n, 1)
        else:
            self.known += reward.se**2


class Tried:
    """Every setting that was tried, with its evidence: what most agents recommend from."""

    def __init__(self) -> None:
        self._evidence: dict[bytes, Evidence] = {}  # by the settings as JSON, in order of their first reward

    def __len__(self) -> int:
        return len(self._evidence)

    def __iter__(self) -> Iterator[Evidence]:
        return iter(self._evidence.values())

    def add(self, settings: Mapping[str, Value], reward: Reward) -> None:
        """Take in a reward of these settings."""
        key = msgspec.json.encode(settings, order="deterministic")
        self._evidence.setdefault(key, Evidence(settings)).add(reward)

    def best(self) -> Mapping[str, Value] | None:
        """The settings with the highest posterior mean, the first where several are equal; None before a reward."""
        means = posterior_means(self)
        return max(means, key=lambda mean: mean.value).settings if means else None

    def state(self) -> list[Value]:
        """All of it as JSON values."""
        entries: list[Value] = msgspec.to_builtins(list(self))
        return entries

    def load(self, state: Value) -> None:
        """Take over a `state`; raises ValueError where it is none."""
        found = msgspec.convert(state, list[Evidence])
        self._evidence = {msgspec.json.encode(each.settings, order="deterministic"): each for each in found}


class PosteriorMean(msgspec.Struct, frozen=True):
    """How good some settings are believed to be."""

    settings: Mapping[str, Value]
    value: float


def posterior_means(evidence: Iterable[Evidence]) -> list[PosteriorMean]:
    """Each tried setting's mean reward, drawn towards the mean of all by its uncertainty, in the order given.

    mean + (own - mean) * s2 / (s2 + v), with s2 the variance between settings and v the variance of the setting's own
    mean (James-Stein; Efron and Morris 1975): one lucky draw from few records loses to a good level seen again.
    A reward without a standard error gets one from the spread of repeated settings; a prior, worth one repetition,
    says that half of s2 is noise. Settings that failed at least as often as they worked are left out.
    """
    usable = [each for each in evidence if each.worked > each.failed]
    if not usable:
        return []
    overall, spread = fmean(each.mean for each in usable), pvariance(each.mean for each in usable)
    noise = _noise_per_record(usable, spread)
    return [
        PosteriorMean(each.settings, overall + (each.mean - overall) * _trust(spread, _variance(each, noise)))
        for each in usable
    ]


def _noise_per_record(usable: list[Evidence], spread: float) -> float:
    """The variance of a reward without a standard error, times its number of records."""
    rewards = sum(each.worked for each in usable)
    repeated, repetitions = sum(each.squares for each in usable), rewards - len(usable)
    return (spread / 2 + repeated) / (1 + repetitions) * sum(each.records for each in usable) / rewards


def _variance(evidence: Evidence, noise: float) -> float:
    return (evidence.known + noise * evidence.unknown) / evidence.worked**2


def _trust(spread: float, variance: float) -> float:
    return spread / (spread + variance) if spread > 0 else 0.0
