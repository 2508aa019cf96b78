from __future__ import annotations

import json
from collections import Counter

import numpy as np

from streamgen.control.agent import Observation, Reward, Trial
from streamgen.control.bandit import Bandit, BanditSettings
from streamgen.control.parameters import Categorical, Float, Int, Simplex
from streamgen.control.space import Space

SPACE = Space(
    {"a.t": Float(0.0, 1.0), "a.m": Categorical(("x", "y", "z")), "a.n": Int(1, 9), "a.mix": Simplex(("p", "q"))},
    conditions={"a.n": {"a.m": ("y", "z")}},
)
FAILED = Reward(failed=True, error="boom")


def bandit(seed: int = 3, space: Space = SPACE) -> Bandit:
    return Bandit(space, seed, BanditSettings())


def worth(trial: Trial) -> Reward:
    return Reward(value=(trial.settings["a.m"] == "y") - (trial.settings["a.t"] - 0.2) ** 2)


def played(agent: Bandit, steps: range) -> list[Trial]:
    trials = []
    for step in steps:
        settings = agent.ask(Observation(step=step)).settings
        assert SPACE.contains(settings)
        trials.append(Trial(id=step, first_ticket=0, tickets=1, settings=settings, kind="explore"))
        agent.tell(trials[-1], worth(trials[-1]))
    return trials


def test_the_good_choice_is_taken_ever_more_often_and_its_number_comes_near() -> None:
    trials = played(bandit(), range(1, 61))
    assert Counter(trial.settings["a.m"] for trial in trials[-30:])["y"] >= 25
    late = [trial.settings["a.t"] for trial in trials[-20:] if trial.settings["a.m"] == "y"]
    assert abs(np.median(late) - 0.2) < 0.1
    best = bandit()
    best.warm_start([(trial.settings, worth(trial)) for trial in trials])
    recommended = best.recommend()
    assert recommended is not None
    assert recommended["a.m"] == "y"


def test_a_choice_that_was_never_tried_is() -> None:
    agent = bandit()
    for id_, value in enumerate((0.5, 0.6, 0.55)):
        agent.tell(_trial(id_, "x", 0.1 * id_), Reward(value=value))
        agent.tell(_trial(10 + id_, "y", 0.1 * id_), Reward(value=value - 0.4))
    seen = Counter(agent.ask(Observation(step=step)).settings["a.m"] for step in range(100))
    assert seen["z"] > seen["y"]
    assert seen["x"] > seen["y"]


def test_told_again_or_loaded_it_asks_the_same_as_one_that_went_on() -> None:
    agent = bandit()
    trials = played(agent, range(1, 11))
    state = json.loads(json.dumps(agent.state_dict()))
    ahead = played(agent, range(11, 16))
    told, loaded = bandit(), bandit()
    for trial in trials:
        told.tell(trial, worth(trial))
    loaded.load_state_dict(state)
    assert played(told, range(11, 16)) == played(loaded, range(11, 16)) == ahead
    assert told.recommend() == loaded.recommend() == agent.recommend()


def test_failures_are_no_rewards() -> None:
    agent = bandit()
    agent.tell(_trial(1, "x", 0.1), FAILED)
    assert agent.recommend() is None
    assert agent.state_dict() == bandit().state_dict()


def test_what_the_stages_do_not_allow_is_never_asked() -> None:
    space = Space(dict(SPACE), lambda settings: settings["a.t"] < 0.1, SPACE.conditions)
    agent = bandit(space=space)
    agent.tell(_trial(1, "x", 0.05), Reward(value=1.0))
    agent.tell(_trial(2, "y", 0.05), Reward(value=0.5))
    assert max(agent.ask(Observation(step=step)).settings["a.t"] for step in range(50)) < 0.1


def test_a_space_without_choices_is_searched_around_its_best_point() -> None:
    agent = Bandit(Space({"a.t": Float(0.0, 1.0)}), 1, BanditSettings(explore=0.0, shrink=0.0, halving=0.1))
    for id_, place in enumerate((0.1, 0.3, 0.7, 0.9)):
        trial = Trial(id=id_, first_ticket=0, tickets=1, settings={"a.t": place}, kind="explore")
        agent.tell(trial, Reward(value=-abs(place - 0.7)))
    places = [agent.ask(Observation(step=step)).settings["a.t"] for step in range(100)]
    assert abs(np.mean(places) - 0.7) < 0.03
    assert abs(np.std(places) - 0.06) < 0.02


def _trial(id_: int, method: str, place: float) -> Trial:
    settings = {"a.t": place, "a.m": method, "a.mix": {"p": 0.5, "q": 0.5}} | ({"a.n": 3} if method != "x" else {})
    return Trial(id=id_, first_ticket=0, tickets=1, settings=settings, kind="explore")
