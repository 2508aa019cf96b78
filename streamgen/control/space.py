"""The search space: which settings of which stages may change, over what, and which only together with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import islice
from typing import Protocol, TypeAlias

from streamgen.control.agent import Observation
from streamgen.control.mixture import Mixture
from streamgen.control.parameters import Categorical, Float, Int, Parameter, Simplex
from streamgen.errors import FatalError
from streamgen.record import Value

__all__ = ["MAX_TRIES", "Categorical", "Condition", "Float", "Int", "Parameter", "Simplex", "Space", "by_stage"]

MAX_TRIES = 1000  # draws until a combination that the stages allow; a space that needs more is mostly forbidden

Condition: TypeAlias = Mapping[str, tuple[Value, ...]]
"""Other parameters and the values of them with which a parameter counts."""


class Uniform(Protocol):
    """Draws from [0, 1): `random.Random` and NumPy's `Generator` both do."""

    def random(self) -> float:
        """The next draw."""
        ...


def _anything(_: Mapping[str, Value]) -> bool:
    return True


class Space(Mapping[str, Parameter]):
    """Parameters by `stage.setting`, in the recipe's order, and which of their combinations the stages allow.

    A parameter with a condition is active only while each parameter that it names is active and has one of the values.
    Settings leave out what is not active: there the stage keeps its own value.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        allows: Callable[[Mapping[str, Value]], bool] = _anything,
        conditions: Mapping[str, Condition] | None = None,
        mixtures: Mapping[str, Mixture] | None = None,
    ) -> None:
        self._parameters = dict(parameters)
        self._allows = allows
        self.mixtures = dict(mixtures or {})
        given = conditions or {}
        # Each after the conditions of what it names, so that one pass through them is enough.
        self.conditions = {name: given[name] for name in TopologicalSorter(given).static_order() if name in given}

    @property
    def is_constrained(self) -> bool:
        """Whether there may be combinations that the stages do not allow."""
        return self._allows is not _anything

    @property
    def places(self) -> int:
        """How many coordinates the unit cube of `decode` has."""
        return sum(_places(parameter) for parameter in self.values())

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return f"Space({self._parameters}{f', conditions={self.conditions}' if self.conditions else ''})"

    def active(self, settings: Mapping[str, Value]) -> dict[str, Value]:
        """The settings without those that do not count beside the others.

        >>> space = Space({"a.depth": Int(1, 4), "a.method": Categorical(("chat", "evolve"))},
        ...               conditions={"a.depth": {"a.method": ("evolve",)}})
        >>> space.active({"a.depth": 3, "a.method": "chat"})
        {'a.method': 'chat'}
        """
        left = dict(settings)
        for name, condition in self.conditions.items():
            if not all(
                other in left and Categorical(values).contains(left[other]) for other, values in condition.items()
            ):
                left.pop(name, None)
        return left

    def contains(self, settings: Mapping[str, Value]) -> bool:
        """Whether the settings name what is active and nothing else, each within its range, and go together."""
        known = {name: settings[name] for name in self if name in settings}
        return (
            len(known) == len(settings)
            and self.active({**dict.fromkeys(self), **known}).keys() == settings.keys()
            and all(self[name].contains(value) for name, value in settings.items())
            and self.allows(settings)
        )

    def allows(self, settings: Mapping[str, Value]) -> bool:
        """Whether the stages take these settings together; the values themselves are not looked at."""
        return self._allows is _anything or self._allows(self.applied(settings))

    def encode(self, settings: Mapping[str, Value]) -> tuple[float, ...]:
        """The settings as a point of the unit cube; they must be in the space. What is not active stands at 0.5."""
        return tuple(
            place
            for name, parameter in self.items()
            for place in (_encoded(parameter, settings[name]) if name in settings else [0.5] * _places(parameter))
        )

    def decode(self, point: Sequence[float]) -> dict[str, Value]:
        """The settings at a point of the unit cube: a coordinate a parameter, for a simplex one less than its parts.

        >>> Space({"a.t": Float(0.0, 2.0), "a.m": Categorical(("x", "y"))}).decode([0.25, 0.75])
        {'a.t': 0.5, 'a.m': 'y'}
        """
        if len(point) != self.places:
            raise ValueError(f"a point of this space has {self.places} coordinates, not {len(point)}")
        places = iter(point)
        return self.active(
            {name: _decoded(parameter, list(islice(places, _places(parameter)))) for name, parameter in self.items()}
        )

    def sample(self, rng: Uniform) -> dict[str, Value]:
        """Settings drawn uniformly from what is allowed."""
        for _ in range(MAX_TRIES):
            settings = self.decode([rng.random() for _ in range(self.places)])
            if self.allows(settings):
                return settings
        raise FatalError(f"{MAX_TRIES} draws from the search space gave no settings that the stages allow: narrow it")

    def applied(self, settings: Mapping[str, Value], observation: Observation | None = None) -> Mapping[str, Value]:
        """What the stages get: the same settings, with shares in the place of the theta of each mixture.

        A theta that is not set, or not active, leaves the stage its own shares.
        """
        if not self.mixtures:
            return settings
        seen = observation if observation is not None else Observation(step=0)
        thetas = {name for setting, mixture in self.mixtures.items() for name in mixture.names(setting)}
        result = {name: value for name, value in settings.items() if name not in thetas}
        for setting, mixture in self.mixtures.items():
            theta = [settings[name] for name in mixture.names(setting) if settings.get(name) is not None]
            if len(theta) == len(mixture.features):
                result[setting] = mixture.shares(theta, seen)
        return result


def by_stage(settings: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """The settings grouped by stage.

    >>> by_stage({"answer.temperature": 0.7})
    {'answer': {'temperature': 0.7}}
    """
    grouped: dict[str, dict[str, Value]] = {}
    for name, value in settings.items():
        stage, _, setting = name.rpartition(".")
        grouped.setdefault(stage, {})[setting] = value
    return grouped


def _places(parameter: Parameter) -> int:
    return parameter.places if isinstance(parameter, Simplex) else 1


def _encoded(parameter: Parameter, value: Value) -> list[float]:
    return parameter.encode(value) if isinstance(parameter, Simplex) else [parameter.encode(value)]


def _decoded(parameter: Parameter, places: Sequence[float]) -> Value:
    return parameter.decode(places) if isinstance(parameter, Simplex) else parameter.decode(places[0])
