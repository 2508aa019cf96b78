from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from streamgen.control.agent import Observation, Proposal, Reward, Trial
from streamgen.control.build import ControllerSpec, build_agent
from streamgen.control.ensemble import Ensemble, EnsembleSettings
from streamgen.control.space import Float, Space
from streamgen.errors import RecipeError, UnknownName

SPACE = Space({"a.t": Float(0.0, 1.0)})


class Fixed:
    """Always proposes and recommends its own value, and keeps what it is told."""

    def __init__(self, value: float) -> None:
        self.value, self.told, self.forgotten, self.pending = value, list[Trial](), list[int](), list[Trial]()

    def ask(self, observation: Observation) -> Proposal:
        self.pending = list(observation.pending)
        return Proposal(settings={"a.t": self.value}, note={"mine": self.value}, log_probability=-1.0)

    def tell(self, trial: Trial, reward: Reward) -> None:
        self.told.append(trial)

    def forget(self, trial: Trial) -> None:
        self.forgotten.append(trial.id)

    def warm_start(self, told: Sequence[tuple[Mapping[str, Any], Reward]]) -> None:
        self.value += len(told)

    def recommend(self) -> Mapping[str, Any] | None:
        return {"a.t": self.value} if self.told else None

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.value = state["value"]


@pytest.fixture
def ensemble(monkeypatch: pytest.MonkeyPatch) -> Ensemble:
    def made(name: str, *_: object) -> Fixed:
        return Fixed({"low": 0.1, "high": 0.9}[name])

    monkeypatch.setattr("streamgen.control.ensemble.make_agent", made)
    return Ensemble(SPACE, 1, EnsembleSettings(agents=("low", "high")))


def member(ensemble: Any, name: str) -> Fixed:
    found: Fixed = ensemble._members[name]
    return found


def asked(agent: Ensemble, step: int, pending: tuple[Trial, ...] = ()) -> Trial:
    proposal = agent.ask(Observation(step=step, pending=pending))
    return Trial(
        id=step, first_ticket=0, tickets=1, settings=proposal.settings, kind="explore", note=proposal.note,
        log_probability=proposal.log_probability,
    )  # fmt: skip


def played(agent: Ensemble, steps: range) -> list[Trial]:
    trials = []
    for step in steps:
        trials.append(asked(agent, step))
        agent.tell(trials[-1], Reward(value=trials[-1].settings["a.t"] + step % 2))
    return trials


def test_the_member_whose_trials_are_worth_more_is_asked_more_often(ensemble: Ensemble) -> None:
    counts = Counter(trial.note["agent"] for trial in played(ensemble, range(1, 81)))
    assert counts["high"] > 2 * counts["low"] > 0
    assert ensemble.recommend() == {"a.t": 0.9}


def test_every_member_is_told_everything_with_its_own_notes_alone(ensemble: Ensemble) -> None:
    trials = played(ensemble, range(1, 11))
    assert {trial.note["agent"] for trial in trials} == {"low", "high"}
    for name, value in (("low", 0.1), ("high", 0.9)):
        told = member(ensemble, name).told
        assert [trial.id for trial in told] == list(range(1, 11))
        for trial in told:
            own = trial.settings["a.t"] == value
            assert (trial.note, trial.log_probability) == (({"mine": value}, -1.0) if own else ({}, None))


def test_pending_trials_are_shown_with_the_members_own_notes(ensemble: Ensemble) -> None:
    out = tuple(asked(ensemble, step) for step in range(1, 9))
    last = asked(ensemble, 9, out)
    seen = member(ensemble, last.note["agent"]).pending
    assert [trial.id for trial in seen] == list(range(1, 9))
    assert {bool(trial.note) for trial in seen} == {True, False}


def test_told_again_or_loaded_it_asks_the_same_as_one_that_went_on(ensemble: Ensemble) -> None:
    other, third = (Ensemble(SPACE, 1, EnsembleSettings(agents=("low", "high"))) for _ in range(2))
    trials = played(ensemble, range(1, 11))
    third.load_state_dict(json.loads(json.dumps(ensemble.state_dict())))
    for trial in trials:
        other.tell(trial, Reward(value=trial.settings["a.t"] + trial.id % 2))
    assert played(ensemble, range(11, 21)) == played(other, range(11, 21)) == played(third, range(11, 21))


def test_failures_and_forgotten_trials_reach_all_members_and_credit_none(ensemble: Ensemble) -> None:
    trial = asked(ensemble, 1)
    ensemble.tell(trial, Reward(failed=True, error="boom"))
    ensemble.forget(trial)
    ensemble.warm_start([({"a.t": 0.3}, Reward(value=1.0))])
    assert ensemble.state_dict()["all"] == {"weight": 0.0, "total": 0.0}
    assert [len(member(ensemble, name).told) for name in ("low", "high")] == [1, 1]
    assert [member(ensemble, name).forgotten for name in ("low", "high")] == [[1], [1]]
    assert [member(ensemble, name).value for name in ("low", "high")] == [1.1, 1.9]


def test_the_state_of_other_members_is_refused(ensemble: Ensemble) -> None:
    with pytest.raises(ValueError, match="the state is of x, the ensemble of low, high"):
        ensemble.load_state_dict({"members": {"x": {}}})


@pytest.mark.parametrize(
    ("options", "message", "path"),
    [
        ({"agents": []}, "at least one agent", "$.controller.options"),
        ({"agents": ["bandit", "bandit"]}, "none twice", "$.controller.options"),
        ({"agents": ["ensemble"]}, "ensemble itself", "$.controller.options"),
        ({"agents": ["bandit"], "options": {"ppo": {}}}, "options are given for ppo", "$.controller.options"),
        ({"agents": ["bandti"]}, "did you mean 'bandit'", "$.controller.options.agents"),
        (
            {"agents": ["bandit"], "options": {"bandit": {"shrnk": 1}}},
            "did you mean 'shrink'",
            "$.controller.options.options.bandit",
        ),
    ],
)
def test_options_that_cannot_be_are_refused_with_their_place(options: Any, message: str, path: str) -> None:
    spec = ControllerSpec(reward={}, space={}, agent="ensemble", options=options)
    with pytest.raises((RecipeError, UnknownName), match=message) as caught:
        build_agent(spec, SPACE, 1)
    assert caught.value.path == path
