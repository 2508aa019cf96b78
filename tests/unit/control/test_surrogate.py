"""The surrogate asks within the space, the same again after a resume, and finds what is good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from streamgen.control.agent import Observation, Reward, Trial
from streamgen.control.candidates import first_point, middles, neighbours
from streamgen.control.encoding import Encoding, Points
from streamgen.control.evidence import KEPT, Evidence, noise_of, standardised
from streamgen.control.space import Categorical, Float, Int, Space
from streamgen.control.success import chances
from streamgen.control.surrogate import Surrogate, usual_first

SPACE = Space({"a.t": Float(0.0, 1.0), "a.n": Int(1, 8), "a.m": Categorical(("x", "y", "z"))})
FAILED = Reward(failed=True, error="boom")

Score = Callable[[Mapping[str, Any]], Reward]


def hill(settings: Mapping[str, Any]) -> Reward:
    """Best at t = 0.7 with y."""
    return Reward(value=(settings["a.m"] == "y") * 0.5 - (settings["a.t"] - 0.7) ** 2, n=32)


def observed(step: int, *pending: Trial) -> Observation:
    return Observation(step=step, pending=pending)


def asked(agent: Surrogate, observation: Observation) -> Trial:
    proposal = agent.ask(observation)
    step = observation.step
    return Trial(
        id=step, first_ticket=8 * step, tickets=8, settings=proposal.settings, kind="explore", note=proposal.note
    )


def played(agent: Surrogate, steps: range, score: Score = hill) -> list[Mapping[str, Any]]:
    settings = []
    for step in steps:
        trial = asked(agent, observed(step))
        agent.tell(trial, score(trial.settings))
        settings.append(trial.settings)
    return settings


def test_it_finds_the_hill_and_recommends_its_top() -> None:
    agent = Surrogate(SPACE, 3)
    settings = played(agent, range(16))
    assert all(SPACE.contains(each) for each in settings)
    recommended = agent.recommend()
    assert recommended is not None
    assert (recommended["a.m"], recommended["a.t"]) == ("y", pytest.approx(0.7, abs=0.12))
    assert sum(each["a.m"] == "y" for each in settings[8:]) >= 6


def test_a_seed_asks_the_same_and_another_seed_something_else() -> None:
    first, again, other = (played(Surrogate(SPACE, seed), range(7)) for seed in (1, 1, 2))
    assert first == again
    assert first[1:] != other[1:]


def test_asking_changes_nothing() -> None:
    quiet, curious = Surrogate(SPACE, 1), Surrogate(SPACE, 1)
    for agent in (quiet, curious):
        played(agent, range(5))
    for step in (5, 9, 5):
        curious.ask(observed(step))
        curious.recommend()
    assert played(quiet, range(5, 8)) == played(curious, range(5, 8))


def test_a_run_that_is_told_again_and_one_that_loads_the_state_go_on_as_the_first() -> None:
    agent, told = Surrogate(SPACE, 1), Surrogate(SPACE, 1)
    for step in range(6):
        trial = asked(agent, observed(step))
        for each in (agent, told):
            each.tell(trial, FAILED if step == 4 else hill(trial.settings))
    loaded = Surrogate(SPACE, 1)
    loaded.load_state_dict(msgspec.json.decode(msgspec.json.encode(agent.state_dict())))
    assert loaded.state_dict() == agent.state_dict()
    assert played(agent, range(6, 9)) == played(told, range(6, 9)) == played(loaded, range(6, 9))


def test_the_state_of_another_space_is_refused() -> None:
    agent = Surrogate(SPACE, 1)
    played(agent, range(2))
    with pytest.raises(ValueError, match="another search space"):
        Surrogate(Space({"a.t": Float(0.0, 1.0)}), 1).load_state_dict(agent.state_dict())
    with pytest.raises(ValueError, match="array"):
        agent.load_state_dict({"weights": []})


def test_trials_that_are_out_are_not_asked_for_again() -> None:
    agent = Surrogate(SPACE, 2)
    played(agent, range(8))
    out = [asked(agent, observed(8))]
    alone = asked(agent, observed(9))
    for step in range(9, 12):
        out.append(asked(agent, observed(step, *out)))
    assert out[1].settings != alone.settings
    places = [(trial.settings["a.t"], trial.settings["a.n"], trial.settings["a.m"]) for trial in out]
    assert len(set(places)) == 4


def test_all_trials_failing_leaves_the_design_and_no_recommendation() -> None:
    agent = Surrogate(SPACE, 1)
    settings = played(agent, range(8), lambda _: FAILED)
    assert agent.recommend() is None
    assert all(SPACE.contains(each) for each in settings)
    assert len({tuple(each.values()) for each in settings}) == 8


def test_settings_that_fail_are_left_however_good_they_would_be() -> None:
    def fails_high(settings: Mapping[str, Any]) -> Reward:
        return FAILED if settings["a.t"] > 0.5 else Reward(value=settings["a.t"], n=32)

    agent = Surrogate(Space({"a.t": Float(0.0, 1.0)}), 4)
    settings = played(agent, range(20), fails_high)
    # The rewards alone, which rise up to the border, would keep it at 1.0 for ever.
    assert sum(each["a.t"] > 0.6 for each in settings[10:]) <= 3
    recommended = agent.recommend()
    assert recommended is not None
    assert 0.3 < recommended["a.t"] <= 0.5


def test_what_the_stages_do_not_allow_is_never_asked_for() -> None:
    space = Space({"a.t": Float(0.0, 1.0)}, allows=lambda settings: settings["a.t"] < 0.4)
    agent = Surrogate(space, 1)
    settings = played(agent, range(8), lambda settings: Reward(value=settings["a.t"], n=8))
    assert max(each["a.t"] for each in settings) < 0.4


def test_an_earlier_run_saves_the_search() -> None:
    tried = [{"a.t": t, "a.n": 4, "a.m": m} for t in (0.1, 0.5, 0.7, 0.9) for m in "xyz"]
    agent = Surrogate(SPACE, 1)
    agent.warm_start([(settings, hill(settings)) for settings in tried])
    assert agent.recommend() == {"a.t": pytest.approx(0.7), "a.n": 4, "a.m": "y"}
    first = agent.ask(observed(1)).settings
    assert (first["a.m"], first["a.t"]) == ("y", pytest.approx(0.7, abs=0.2))


def test_the_state_of_the_data_decides_which_settings_are_best() -> None:
    def matching(settings: Mapping[str, Any], wanted: float) -> Reward:
        return Reward(value=-abs(settings["a.t"] - wanted), n=32)

    agent = Surrogate(Space({"a.t": Float(0.0, 1.0)}), 1)
    wants = [0.2, 0.8]
    for step in range(24):
        seen = Observation(step=step, deficit={"c": wants[step % 2]})
        trial = asked(agent, seen)
        agent.tell(trial, matching(trial.settings, wants[step % 2]))
    answers = [agent.ask(Observation(step=24, deficit={"c": want})).settings["a.t"] for want in wants]
    assert answers == pytest.approx(wants, abs=0.2)


def test_a_trials_newer_reward_replaces_its_older_one_and_only_so_many_are_kept() -> None:
    evidence = Evidence(Encoding(SPACE))
    settings = {"a.t": 0.5, "a.n": 4, "a.m": "x"}
    for value in (0.1, 0.2):
        evidence.add(0, settings, [], Reward(value=value, n=8))
    assert [row.value for row in evidence.rows] == [0.2]
    for trial in range(1, KEPT + 5):
        evidence.add(trial, settings, [], Reward(value=0.3, n=8))
    assert (len(evidence.rows), evidence.rows[-1].trial, evidence.count) == (KEPT, KEPT + 4, KEPT + 6)


def test_settings_without_a_value_are_a_point_too() -> None:
    agent = Surrogate(SPACE, 1)
    default = Trial(id=0, first_ticket=0, tickets=8, settings={"a.t": None, "a.n": 4, "a.m": "x"}, kind="default")
    agent.tell(default, Reward(value=0.4, n=8))
    assert agent.recommend() == {"a.t": 0.5, "a.n": 4, "a.m": "x"}


def test_rewards_are_scaled_whatever_their_unit() -> None:
    values = np.array([1.0, 2.0, 4.0])
    for unit in (1e-6, 1.0, 1e6):
        assert np.allclose(standardised(unit * values), standardised(values))
    assert standardised(np.array([5.0])).tolist() == standardised(np.zeros(3))[:1].tolist() == [0.0]
    evidence = Evidence(Encoding(SPACE))
    for trial, n in enumerate((10, 40)):
        evidence.add(trial, {}, [], Reward(value=1.0, n=n))
    assert noise_of(evidence.rows).tolist() == pytest.approx([2.0, 0.5])


def test_chances_are_those_of_all_far_away_and_those_nearby_close_by() -> None:
    tried = Points(np.array([[0.1]] * 6 + [[0.9]] * 2), np.zeros((8, 0), np.int64))
    worked = np.array([1.0] * 6 + [0.0] * 2)
    at = Points(np.array([[0.1], [0.9], [9.0]]), np.zeros((3, 0), np.int64))
    near_good, near_bad, far = chances(at, tried, worked)
    assert far == pytest.approx(7 / 9)
    assert near_bad < 0.55 < far < near_good


def test_failures_that_are_scattered_tell_of_no_place_and_those_in_one_place_do() -> None:
    tried = Points(np.linspace(0, 1, 41)[:, None], np.zeros((41, 0), np.int64))
    scattered, together = np.ones(41), np.ones(41)
    scattered[[5, 20, 21, 35]] = 0
    together[[20, 21, 22, 23]] = 0
    at = Points(np.array([[0.525]]), np.zeros((1, 0), np.int64))
    assert chances(at, tried, together) < 0.65 < 0.8 < chances(at, tried, scattered) < 38 / 42


def test_guesses_stay_off_the_borders_and_neighbours_of_what_is_there_may_stay() -> None:
    encoding = Encoding(Space({"a.t": Float(0.0, 1.0)}))
    points = Points(np.array([[0.5], [0.05], [0.98]]), np.zeros((3, 0), np.int64))
    found = neighbours(encoding, points, np.random.default_rng(1), 1.0, 50).u.reshape(3, 51)
    assert [(row.min(), row.max()) for row in found] == [(0.15, 0.85), (0.05, 0.85), (0.15, 0.98)]


def test_the_first_trials_are_in_the_middle_and_try_every_choice() -> None:
    settings = played(Surrogate(SPACE, 5), range(3))
    assert [each["a.t"] for each in settings] == [0.5] * 3
    assert sorted(each["a.m"] for each in settings) == ["x", "y", "z"]
    nothing = Points(np.zeros((0, 2)), np.zeros((0, 1), np.int64))
    assert first_point(Encoding(SPACE), 5, 3, nothing).u[0] != 0.5
    many = Encoding(Space({"a.t": Float(0.0, 1.0), "a.m": Categorical(tuple("abcdefgh"))}))
    assert [middles(many), middles(Encoding(Space({"a.t": Float(0.0, 1.0)})))] == [6, 1]
    assert [usual_first(choices) for choices in (0, 1, 2)] == [3, 8, 8]


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("own", ["x", "y", "z"])
def test_the_recipes_own_choice_is_not_the_next_one(own: str, told: bool) -> None:
    agent = Surrogate(SPACE, 5)
    default = Trial(id=0, first_ticket=0, tickets=8, settings={"a.t": 0.9, "a.n": 4, "a.m": own}, kind="default")
    if told:
        agent.tell(default, hill(default.settings))
    second = agent.ask(Observation(step=1, pending=() if told else (default,)))
    pending = Trial(id=1, first_ticket=8, tickets=8, settings=second.settings, kind="explore", note=second.note)
    third = agent.ask(Observation(step=2, pending=(pending,) if told else (default, pending)))
    assert {own, second.settings["a.m"], third.settings["a.m"]} == {"x", "y", "z"}
    assert (second.settings["a.t"], third.settings["a.t"]) == (0.5, 0.5)
