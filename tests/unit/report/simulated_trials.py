"""Trials of a simulated problem, without a run: six parameters, some failures, re-runs of the best, and production."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from streamgen.control.agent import Kind, Reward, Trial
from streamgen.control.results import TrialResult
from streamgen.control.space_recipe import parse_space
from streamgen.report.trials import TrialFacts, TrialTook

SPACE: dict[str, Any] = {
    "answer.temperature": {"low": 0.2, "high": 1.5},
    "answer.top_p": {"low": 0.5, "high": 1.0},
    "answer.method": {"choices": ["zero_shot", "few_shot", "list", "evolve"]},
    "answer.depth": {"low": 1, "high": 4, "when": {"answer.method": "evolve"}},
    "answer.n": {"low": 1, "high": 64, "log": True},
    "mix.shares": {"simplex": ["chat", "list", "evolve"]},
}
CLASSES = ("greeting", "farewell", "question")


def result(id_: int, value: float | None, se: float | None = None, kind: Kind = "explore", **more: Any) -> TrialResult:
    """A trial of 10 tickets with a reward; None has failed."""
    trial = Trial(id=id_, first_ticket=10 * id_, tickets=10, settings=more.pop("settings", {}), kind=kind, **more)
    return TrialResult(trial, Reward(value=value, se=se, failed=value is None, error=None if value else "no records"))


def waiting(id_: int, **settings: Any) -> TrialResult:
    """A trial without a reward."""
    return TrialResult(Trial(id=id_, first_ticket=10 * id_, tickets=10, settings=settings, kind="explore"), None)


def facts(
    results: Sequence[TrialResult],
    space: Mapping[str, Any] | None = None,
    recommended: Mapping[str, Any] | None = None,
    classes: Sequence[Mapping[str, int]] = (),
    took: Sequence[TrialTook] | None = None,
) -> TrialFacts:
    """These trials, each of which took 10 tickets, 8 records, 100 tokens and $0.01 unless said."""
    took = [TrialTook(10, 8, 100, 0.01) for _ in results] if took is None else took
    return TrialFacts(results, took, "label" if classes else None, classes, recommended, space or {})


def simulated(trials: int, seed: int = 0, raw: Mapping[str, Any] = SPACE) -> TrialFacts:
    """A controller's trials: it explores, runs the best again every 7 trials, and ends with producing."""
    rng, space = Random(seed), parse_space(raw)
    results: list[TrialResult] = []
    best: tuple[float, Mapping[str, Any]] | None = None
    for id_ in range(trials):
        kind: Kind = "default" if not id_ else "explore"
        settings: Mapping[str, Any] = space.sample(rng)
        if best and (id_ % 7 == 6 or id_ >= trials - 3):
            kind, settings = ("incumbent" if id_ % 7 == 6 else "recommended"), best[1]
        value = None if kind == "explore" and rng.random() < 0.1 else level(settings) + rng.gauss(0, 0.03)
        results.append(result(id_, value, se=0.03, kind=kind, settings=settings))
        if value is not None and (best is None or value > best[0]):
            best = value, settings
    classes = [{name: rng.randint(0, 4) for name in CLASSES} for _ in results]
    return facts(results, raw, best[1] if best else None, classes)


def level(settings: Mapping[str, Any]) -> float:
    """What settings are really worth."""
    peak = math.exp(-(((settings.get("answer.temperature", 0.9) - 0.9) / 0.3) ** 2))
    return 0.5 + 0.3 * peak + (0.1 if settings.get("answer.method") == "list" else 0.0)
