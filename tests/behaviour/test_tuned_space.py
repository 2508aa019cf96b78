"""A space with shares and conditions, from the recipe's words to the settings of each ticket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.binding import check_space, current_values
from streamgen.control.controller import Controller
from streamgen.control.random_search import RandomSearch
from streamgen.control.schedule import Schedule
from streamgen.control.space import Space
from streamgen.control.space_recipe import parse_space
from streamgen.inspection_trials import _settings
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.tuning import Tuning

RAW = {
    "make.method": {"choices": ["chat", "evolve"]},
    "make.depth": {"low": 2, "high": 4, "when": {"make.method": "evolve"}},
    "make.quotas": {"simplex": ["a", "b"]},
    "pick.mix": {"simplex": ["x", "y"], "features": [{"prior": {"x": 1, "y": 0}}]},
}


class Make(Settings, frozen=True, kw_only=True):
    method: str = "chat"
    depth: int = 7
    quotas: dict[str, float] = msgspec.field(default_factory=dict)


class Pick(Settings, frozen=True, kw_only=True):
    mix: dict[str, float] = msgspec.field(default_factory=lambda: {"x": 3.0, "y": 1.0})


STAGES = {"make": Make(), "pick": Pick()}


class Length:
    metric = "n"

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        return {"n": len(records)}


class Scripted(RandomSearch):
    """Proposes what it was given, in turn, with a log-probability."""

    def __init__(self, space: Space, proposals: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(space, 1)
        self.proposals = proposals

    def ask(self, observation: Observation) -> Proposal:
        return Proposal(settings=self.proposals[observation.step - 1], log_probability=-float(observation.step))


@pytest.fixture
def controller() -> Controller:
    space = check_space(parse_space(RAW), STAGES)
    shares = {"make.quotas": {"a": 0.25, "b": 0.75}, "pick.mix[prior]": 0.0}
    proposals = [{"make.method": "evolve", "make.depth": 4, **shares}, {"make.method": "chat", **shares}]
    return Controller(
        Scripted(space, proposals), Length(), space, current_values(space, STAGES), schedule=Schedule(batch=2, trials=3)
    )  # fmt: skip


def test_each_ticket_gets_the_shares_and_what_counts_and_the_stages_own_values_else(controller: Controller) -> None:
    tuning = Tuning(STAGES, controller)
    made = [tuning.for_ticket(ticket).stages for ticket in (0, 2, 4)]
    quotas, even = {"a": 0.25, "b": 0.75}, {"x": 0.5, "y": 0.5}
    assert [stages["make"] for stages in made] == [
        Make(), Make(method="evolve", depth=4, quotas=quotas), Make(quotas=quotas)
    ]  # fmt: skip
    assert [stages["pick"] for stages in made] == [Pick(), Pick(mix=even), Pick(mix=even)]


def test_a_trial_keeps_what_was_proposed_beside_what_the_stages_got(controller: Controller) -> None:
    first, second = controller.trial_for(0), controller.trial_for(2)
    assert first.settings == {"make.method": "chat", "make.quotas": {}, "pick.mix[prior]": None}
    assert (second.log_probability, second.settings["pick.mix[prior]"]) == (-1.0, 0.0)
    assert second.stage_settings["pick.mix"] == {"x": 0.5, "y": 0.5}
    again = msgspec.json.decode(msgspec.json.encode(second), type=Trial)
    assert again == second


def test_a_trial_stored_by_an_earlier_version_can_be_read() -> None:
    old = b'{"id":0,"first_ticket":0,"tickets":2,"settings":{"make.depth":3},"kind":"explore","note":{}}'
    trial = msgspec.json.decode(old, type=Trial)
    assert (trial.stage_settings, trial.rung, trial.log_probability) == ({"make.depth": 3}, 0, None)
    assert msgspec.json.decode(b'{"value":0.5,"n":2}', type=Reward) == Reward(value=0.5, n=2)


def test_inspection_shows_theta_the_shares_that_it_came_to_and_nothing_that_does_not_count(
    controller: Controller,
) -> None:
    assert [*_settings(controller.trial_for(4).shown)] == [
        "make.method = chat",
        "make.quotas = a:0.25,b:0.75",
        "pick.mix[prior] = 0",
        "pick.mix = x:0.5,y:0.5",
    ]
