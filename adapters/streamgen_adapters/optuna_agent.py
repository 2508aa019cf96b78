"""The agent `optuna`: an Optuna sampler behind the agents' protocol, TPE unless another one is wanted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from random import Random
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.parameters import Categorical, Int, Parameter, Simplex
from streamgen.control.posterior import Tried
from streamgen.control.space import MAX_TRIES, Space
from streamgen.errors import FatalError, MissingExtra, RecipeError
from streamgen.record import Value
from streamgen.settings import Settings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, TrialState
    from optuna.trial import Trial as OptunaTrial

KEPT = 100  # rewards that the sampler sees: its time grows with them, to 22 ms at 8 dimensions


class OptunaSettings(Settings, frozen=True, kw_only=True):
    """`sampler` and, of TPE, the number of random trials that it begins with (`gp` needs PyTorch)."""

    sampler: Literal["tpe", "gp", "random"] = "tpe"
    startup: Annotated[int, msgspec.Meta(ge=1)] = 10


class Told(msgspec.Struct, frozen=True):
    """A trial that has its reward."""

    trial: int
    settings: Mapping[str, Value]
    value: float | None


class OptunaAgent:
    """Builds a study of all rewards for each trial, with a sampler seeded by (seed, step).

    So what is asked depends on what was told alone, and goes on after a crash; pending trials are in the study, where
    TPE takes them for bad (constant liar). Shares are sampled by stick breaking, conditions as they come.
    """

    def __init__(self, space: Space, seed: int, settings: OptunaSettings) -> None:
        try:
            import optuna
        except ImportError:
            raise MissingExtra("the agent 'optuna'", "optuna") from None
        if settings.sampler == "gp" and find_spec("torch") is None:
            raise RecipeError('the sampler "gp" needs PyTorch: pip install torch', "$.controller.options.sampler")
        self._optuna = optuna
        self._space, self._seed, self._settings = space, seed, settings
        self._distributions = {
            name: {key: self._distribution(parameter) for key in _keys(name, parameter)}
            for name, parameter in space.items()
        }
        self._order = [*(name for name in space if name not in space.conditions), *space.conditions]
        self._told: dict[int, Told] = {}
        self._tried = Tried()

    def ask(self, observation: Observation) -> Proposal:
        """What the sampler suggests; what the stages do not allow is shown to it as failed, and asked again."""
        study = self._study(observation)
        for _ in range(MAX_TRIES):
            trial = study.ask()
            settings = self._suggested(trial)
            if self._space.allows(settings):
                return Proposal(settings=settings)
            study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        raise FatalError(f"{MAX_TRIES} suggestions of Optuna gave no settings that the stages allow: narrow the space")

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Keep the reward; a failed trial is a failed trial of the study."""
        self._add(trial.id, trial.settings, reward)

    def forget(self, trial: Trial) -> None:
        """Nothing is kept of a trial without a reward."""

    def warm_start(self, told: Sequence[tuple[Mapping[str, Value], Reward]]) -> None:
        """Begin with these rewards."""
        for index, (settings, reward) in enumerate(told):
            self._add(-1 - index, settings, reward)

    def recommend(self) -> Mapping[str, Value] | None:
        """The tried settings with the highest posterior mean; see `streamgen.control.posterior`."""
        return self._tried.best()

    def state_dict(self) -> dict[str, Value]:
        """The rewards told."""
        return {"told": msgspec.to_builtins(list(self._told.values())), "tried": self._tried.state()}

    def load_state_dict(self, state: Mapping[str, Value]) -> None:
        """Take over the rewards of a `state_dict`."""
        self._told = {each.trial: each for each in msgspec.convert(state.get("told"), list[Told])}
        self._tried.load(state.get("tried"))

    def _add(self, trial: int, settings: Mapping[str, Value], reward: Reward) -> None:
        self._tried.add(settings, reward)
        self._told.pop(trial, None)
        self._told[trial] = Told(trial, settings, reward.value)
        if len(self._told) > KEPT:
            del self._told[next(iter(self._told))]

    def _study(self, observation: Observation) -> Study:
        states = self._optuna.trial.TrialState
        with self._quietly():
            sampler = self._sampler(Random(f"{self._seed}/{observation.step}").randrange(2**31))
            study = self._optuna.create_study(direction="maximize", sampler=sampler)
            for told in self._told.values():
                state = states.FAIL if told.value is None else states.COMPLETE
                study.add_trial(self._frozen(told.settings, state, told.value))
            for trial in observation.pending:
                study.add_trial(self._frozen(trial.settings, states.RUNNING, None))
        return study

    def _sampler(self, seed: int) -> BaseSampler:
        samplers = self._optuna.samplers
        if self._settings.sampler == "tpe":
            # Parameters are modelled together, those under a condition where they count.
            options = {"multivariate": True, "group": bool(self._space.conditions), "constant_liar": True}
            found: BaseSampler = samplers.TPESampler(seed=seed, n_startup_trials=self._settings.startup, **options)
        else:
            found = {"gp": samplers.GPSampler, "random": samplers.RandomSampler}[self._settings.sampler](seed=seed)
        return found

    def _frozen(self, settings: Mapping[str, Value], state: TrialState, value: float | None) -> FrozenTrial:
        """The trial as Optuna keeps it; what has no value in the space (the default's None) is left out."""
        known = {name: settings[name] for name in self._space if self._space[name].contains(settings.get(name))}
        return self._optuna.trial.create_trial(
            state=state,
            value=value,
            params={key: place for name, own in known.items() for key, place in _inner(self._space[name], name, own)},
            distributions={key: each for name in known for key, each in self._distributions[name].items()},
        )

    def _suggested(self, trial: OptunaTrial) -> dict[str, Value]:
        settings: dict[str, Value] = {}
        for name in self._order:
            if name in self._space.active({**settings, name: None}):
                settings[name] = _suggestion(trial, name, self._space[name])
        return {name: settings[name] for name in self._space if name in settings}

    def _distribution(self, parameter: Parameter) -> BaseDistribution:
        known = self._optuna.distributions
        if isinstance(parameter, Categorical):
            found: BaseDistribution = known.CategoricalDistribution(range(len(parameter.choices)))
        elif isinstance(parameter, Simplex):
            found = known.FloatDistribution(0.0, 1.0)
        else:
            kind = known.IntDistribution if isinstance(parameter, Int) else known.FloatDistribution
            found = kind(parameter.low, parameter.high, log=parameter.log)
        return found

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Without a log line for each study, and a warning that the constant liar is new."""
        verbosity = self._optuna.logging.get_verbosity()
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
                yield
        finally:
            self._optuna.logging.set_verbosity(verbosity)


def _keys(name: str, parameter: Parameter) -> list[str]:
    """Optuna's names for a parameter: a simplex has one for each part but the last."""
    return [f"{name}[{part}]" for part in parameter.parts[:-1]] if isinstance(parameter, Simplex) else [name]


def _inner(parameter: Parameter, name: str, value: Value) -> list[tuple[str, Value]]:
    """A value of ours as Optuna's."""
    if isinstance(parameter, Simplex):
        return list(zip(_keys(name, parameter), parameter.encode(value), strict=True))
    if isinstance(parameter, Categorical):
        return [(name, int(parameter.encode(value) * len(parameter.choices)))]
    return [(name, value)]


def _suggestion(trial: OptunaTrial, name: str, parameter: Parameter) -> Value:
    """Optuna's suggestion as a value of ours."""
    if isinstance(parameter, Simplex):
        return parameter.decode([trial.suggest_float(key, 0.0, 1.0) for key in _keys(name, parameter)])
    if isinstance(parameter, Categorical):
        return parameter.choices[trial.suggest_categorical(name, range(len(parameter.choices)))]
    if isinstance(parameter, Int):
        return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)
    return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
