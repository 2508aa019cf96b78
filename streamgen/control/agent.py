"""What an agent is: it is asked for settings, told what they were worth, and recommends the best ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from streamgen.record import Value

Kind: TypeAlias = Literal["default", "explore", "incumbent", "recommended"]
"""What a trial is for: the recipe's own settings, learning, the recommended ones again to see drift, production."""


class Yield(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the tickets of a trial came to: records, candidates that were dropped (of them as duplicates), the cost.

    `classes` counts records by label. `usd` is None where no price is known. `seconds` go from its first ticket to its
    last one's end.
    """

    records: int = 0
    dropped: int = 0
    duplicates: int = 0
    classes: Mapping[str, int] = {}
    tokens: int = 0
    usd: float | None = None
    seconds: float = 0.0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, as `stage.setting`, that a contiguous range of tickets is generated with.

    `applied` is what the stages get where that differs: shares in the place of a mixture's theta. `log_probability`
    is how likely its policy was to propose the settings, `rung` how often the trial's batch was enlarged, by ranges of
    `more` tickets (the first of each, and how many). `note` is the agent's own: what `ask` put there comes back with
    `tell`, also after a resume. `heard` counts what the agent had been told before, rewards and trials to forget;
    `after` the records that had been accepted. `came` tells what came of all its tickets so far; `forgotten`, of one
    that gets no more rewards, what had been told when the agent was told so.
    """

    id: int
    first_ticket: int
    tickets: int
    settings: Mapping[str, Value]
    kind: Kind
    note: Mapping[str, Value] = {}
    applied: Mapping[str, Value] | None = None
    log_probability: float | None = None
    rung: int = 0
    more: tuple[tuple[int, int], ...] = ()
    heard: int = 0
    after: int = 0
    came: Yield | None = None
    forgotten: int | None = None

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The first ticket and the number of tickets of each range."""
        return ((self.first_ticket, self.tickets), *self.more)

    @property
    def stage_settings(self) -> Mapping[str, Value]:
        """What the stages get, as `stage.setting`; None leaves a stage its own value."""
        return self.settings if self.applied is None else self.applied

    @property
    def shown(self) -> Mapping[str, Value]:
        """What people see of it: the settings, and the shares that a mixture's theta came to."""
        return {**self.settings, **self.stage_settings}


class Reward(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a trial was worth: `value` from `n` records, its standard error where known, and all metrics.

    A failed trial has no value: it is not worth 0, nothing is known about it but `error`. `cost` is what the trial
    took, in the run's currency. `partial` says that more tickets of the trial may follow and be told as another
    reward. `baseline` is the incumbent's value under the same conditions: `value` is then the level all the same.
    """

    value: float | None = None
    metrics: Mapping[str, float] = {}
    failed: bool = False
    error: str | None = None
    n: int = 0
    se: float | None = None
    cost: float | None = None
    partial: bool = False
    baseline: float | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent may know when it is asked: how many trials there were, and which of them have no reward yet.

    Of the data so far: per class or topic the share of what is wanted that is there (`coverage`), the share that is
    missing (`deficit`) and a student's error rate (`errors`); how full the pool is of what new records say
    (`saturation`, 0 to 1), the share of candidates accepted, and the share of the budget left (1 without one).
    Fields are only ever added, with defaults.
    """

    step: int
    pending: tuple[Trial, ...] = ()
    coverage: Mapping[str, float] = {}
    deficit: Mapping[str, float] = {}
    errors: Mapping[str, float] = {}
    saturation: float = 0.0
    acceptance: float = 1.0
    budget_left: float = 1.0


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's answer: settings within the space, and a JSON-able note of its own.

    A policy adds the log-probability of the settings, so that a late reward can be weighed.
    """

    settings: Mapping[str, Value]
    note: Mapping[str, Value] = {}
    log_probability: float | None = None


class Agent(Protocol):
    """Proposes settings and learns from rewards, which come late and in any order.

    Registered as `Agent(space, seed)` or `Agent(space, seed, settings)`. Its methods are called one after the other
    from a thread, and asked for settings a little before they are needed; one with a true attribute `is_quick`, whose
    methods take less than a millisecond, from the event loop and at the last moment. A resumed run tells every reward
    again, in the order of the first time, or loads a `state_dict` and tells those after it, and never asks for a known
    trial again. So an agent that draws from (seed, observation.step), and changes its state only in `tell`, `forget`
    and `warm_start`, goes on after a crash as if there had been none.
    """

    def ask(self, observation: Observation) -> Proposal:
        """Settings for the next trial."""
        ...

    def tell(self, trial: Trial, reward: Reward) -> None:
        """Learn from a reward. The default trial may lie outside of the space: unset values are None."""
        ...

    def forget(self, trial: Trial) -> None:
        """The trial will get no (further) reward: it was stopped, or passed over."""
        ...

    def warm_start(self, told: Sequence[tuple[Mapping[str, Value], Reward]]) -> None:
        """Learn from rewards of an earlier run; settings that are not in the space stand where they come nearest."""
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
