"""What an agent is: it is asked for settings, told what they were worth, and recommends the best ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

import msgspec

from streamgen.record import Value

Kind: TypeAlias = Literal["default", "explore", "recommended"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, as `stage.setting`, that a contiguous range of tickets is generated with.

    `note` is the agent's own: what `ask` put there comes back with `tell`, also after a resume.
    """

    id: int
    first_ticket: int
    tickets: int
    settings: Mapping[str, Value]
    kind: Kind
    note: Mapping[str, Value] = {}


class Reward(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a trial was worth: `value` from `n` records, its standard error where known, and all metrics.

    A failed trial has no value: it is not worth 0, nothing is known about it but `error`.
    """

    value: float | None = None
    metrics: Mapping[str, float] = {}
    failed: bool = False
    error: str | None = None
    n: int = 0
    se: float | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent may know when it is asked: how many trials there were, and which of them have no reward yet.

    Fields are only ever added, with defaults.
    """

    step: int
    pending: tuple[Trial, ...] = ()


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's answer: settings within the space, and a JSON-able note of its own (a log-probability, a rung)."""

    settings: Mapping[str, Value]
    note: Mapping[str, Value] = {}


class Agent(Protocol):
    """Proposes settings and learns from rewards, which come late and in any order.

    Registered as `Agent(space, seed)` or `Agent(space, seed, settings)`. All methods run on the event loop: be quick.
    A resumed run tells every reward again, in the order of the first time, and never asks for a known trial again.
    So an agent that draws from (seed, observation.step), and changes its state only in `tell`, goes on after a crash
    as if there had been none.
    """

    def ask(self, observation: Observation) -> Proposal:
        """Settings for the next trial."""
        ...

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Learn from a reward. The default trial may lie outside of the space: unset values are None."""
        ...

    def recommend(self) -> Mapping[str, Value] | None:
        """The settings to produce with; None while nothing is known."""
        ...

    def state_dict(self) -> Mapping[str, Value]:
        """All that was learned, as JSON values."""
        ...

    def load_state_dict(self, state: Mapping[str, Value]) -> None:
        """Know what the agent knew whose `state_dict` this is; raises ValueError where it does not fit."""
        ...
