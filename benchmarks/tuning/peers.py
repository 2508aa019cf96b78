"""The tuners that users would pick instead, behind the agents' protocol: Optuna's TPE and GP, and CMA-ES."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.tuning.world import World
from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.space import Categorical, Float, Int, Parameter
from streamgen.record import Value


class Optuna:
    """A study by ask and tell; a failed batch is a failed trial; recommended is the best trial, as its users do."""

    def __init__(self, world: World, sampler: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._space = {name: _distribution(parameter) for name, parameter in world.space.items()}
        self._trials: dict[int, Any] = {}

    def ask(self, observation: Observation) -> Proposal:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask(self._space)
        self._trials[observation.step] = trial
        return Proposal(settings=dict(trial.params))

    def tell(self, trial: Trial, reward: Reward) -> None:
        from optuna.trial import TrialState

        state = TrialState.FAIL if reward.value is None else TrialState.COMPLETE
        self._study.tell(self._trials.pop(trial.id), reward.value, state=state)

    def recommend(self) -> Mapping[str, Value] | None:
        try:
            return dict(self._study.best_params)
        except ValueError:
            return None


def tpe(world: World, seed: int, startup: int = 10) -> Optuna:
    """Optuna's default."""
    import optuna

    return Optuna(world, optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup))


def gp(world: World, seed: int) -> Optuna:
    """Optuna's Gaussian process; it needs torch."""
    import optuna
    import torch

    torch.set_num_threads(1)
    return Optuna(world, optuna.samplers.GPSampler(seed=seed))


class Cma:
    """CatCMA with margin (Hamano et al. 2025): floats, whole numbers and categories; recommended is the best trial."""

    def __init__(self, world: World, seed: int) -> None:
        from cmaes import CatCMAwM

        self._space = world.space
        self._optimizer = CatCMAwM(
            x_space=[(0.0, 1.0) for _ in self._named(Float)] or None,
            z_space=[np.arange(p.low, p.high + 1) for p in self._named(Int).values()] or None,  # type: ignore[union-attr]
            c_space=[len(p.choices) for p in self._named(Categorical).values()] or None,  # type: ignore[union-attr]
            seed=seed,
        )
        self._asked: dict[int, Any] = {}
        self._told: list[tuple[Any, float]] = []
        self._best: tuple[float, Mapping[str, Value] | None] = (-np.inf, None)
        self._worst = 0.0

    def ask(self, observation: Observation) -> Proposal:
        found = self._asked[observation.step] = self._optimizer.ask()
        settings: dict[str, Value] = {}
        for place, (name, parameter) in zip(_row(found.x), self._named(Float).items(), strict=True):
            settings[name] = parameter.decode(float(np.clip(place, 0, 1)))  # type: ignore[arg-type]
        for value, name in zip(_row(found.z), self._named(Int), strict=True):
            settings[name] = int(value)
        for hot, (name, parameter) in zip(_row(found.c), self._named(Categorical).items(), strict=True):
            settings[name] = parameter.choices[int(np.argmax(hot))]  # type: ignore[union-attr]
        return Proposal(settings=settings)

    def tell(self, trial: Trial, reward: Reward) -> None:
        # It knows no failures: they count as the worst reward so far.
        value = self._worst if reward.value is None else reward.value
        self._worst = min(self._worst, value)
        self._best = max(self._best, (value, trial.settings), key=lambda pair: pair[0])
        self._told.append((self._asked.pop(trial.id), -value))
        if len(self._told) == self._optimizer.population_size:
            self._optimizer.tell(self._told)
            self._told = []

    def recommend(self) -> Mapping[str, Value] | None:
        return self._best[1]

    def _named(self, kind: type[Parameter]) -> dict[str, Parameter]:
        return {name: parameter for name, parameter in self._space.items() if isinstance(parameter, kind)}


def _row(values: Any) -> Any:
    return () if values is None else values


def _distribution(parameter: Parameter) -> Any:
    from optuna import distributions

    if isinstance(parameter, Categorical):
        return distributions.CategoricalDistribution(parameter.choices)
    if isinstance(parameter, Int):
        return distributions.IntDistribution(parameter.low, parameter.high, log=parameter.log)
    if isinstance(parameter, Float):
        return distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    raise ValueError(f"the peers know no {type(parameter).__name__}")
