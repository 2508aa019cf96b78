"""How good tried settings are believed to be: rewards, drawn towards their mean by their uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean, pvariance

import msgspec

from streamgen.control.agent import Reward
from streamgen.record import Value


class Outcome(msgspec.Struct, frozen=True):
    """Settings that were tried, and one reward for them."""

    settings: Mapping[str, Value]
    reward: Reward


class PosteriorMean(msgspec.Struct, frozen=True):
    """How good some settings are believed to be."""

    settings: Mapping[str, Value]
    value: float


def posterior_means(outcomes: Iterable[Outcome]) -> list[PosteriorMean]:
    """Each tried setting's mean reward, drawn towards the mean of all by its uncertainty, in order of appearance.

    mean + (own - mean) * s2 / (s2 + v), with s2 the variance between settings and v the variance of the setting's own
    mean (James-Stein; Efron and Morris 1975): one lucky draw from few records loses to a good level seen again.
    A reward without a standard error gets one from the spread of repeated settings; a prior, worth one repetition,
    says that half of s2 is noise. Settings that failed at least as often as they worked are left out.
    """
    groups = [group for group in _by_settings(outcomes) if 2 * len(_rewards(group)) > len(group)]
    if not groups:
        return []
    own = [fmean(_values(group)) for group in groups]
    overall, spread = fmean(own), pvariance(own)
    noise = _noise(groups, spread)
    return [
        PosteriorMean(group[0].settings, overall + (mean - overall) * _trust(spread, _variance(group, noise)))
        for group, mean in zip(groups, own, strict=True)
    ]


def _by_settings(outcomes: Iterable[Outcome]) -> Iterable[list[Outcome]]:
    groups: dict[bytes, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(msgspec.json.encode(outcome.settings, order="deterministic"), []).append(outcome)
    return groups.values()


def _rewards(group: list[Outcome]) -> list[Reward]:
    return [outcome.reward for outcome in group if outcome.reward.value is not None]


def _values(group: list[Outcome]) -> list[float]:
    return [reward.value for reward in _rewards(group) if reward.value is not None]


def _noise(groups: list[list[Outcome]], spread: float) -> float:
    """The variance of a reward without a standard error, times its number of records."""
    repeated = sum(pvariance(_values(group)) * len(_values(group)) for group in groups)
    repetitions = sum(len(_values(group)) - 1 for group in groups)
    records = fmean(max(reward.n, 1) for group in groups for reward in _rewards(group))
    return (spread / 2 + repeated) / (1 + repetitions) * records


def _variance(group: list[Outcome], noise: float) -> float:
    rewards = _rewards(group)
    each = (noise / max(reward.n, 1) if reward.se is None else reward.se**2 for reward in rewards)
    return sum(each) / len(rewards) ** 2


def _trust(spread: float, variance: float) -> float:
    return spread / (spread + variance) if spread > 0 else 0.0
