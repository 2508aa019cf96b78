from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest

from streamgen.control.agent import Observation, Reward, Trial
from streamgen.control.direct import DirectSettings, direct
from streamgen.control.parameters import Categorical, Float, Int, Simplex
from streamgen.control.policy_agent import PolicyAgent
from streamgen.control.ppo import PpoSettings, ppo
from streamgen.control.space import Space
from streamgen.errors import MissingExtra

pytest.importorskip("optax")

SPACE = Space(
    {
        "a.t": Float(0.0, 1.0),
        "a.m": Categorical(("x", "y", "z")),
        "a.n": Int(1, 9),
        "a.mix": Simplex(("p", "q")),
    },
    conditions={"a.n": {"a.m": ("y", "z")}},
)
MAKERS = [
    partial(direct, SPACE, settings=DirectSettings()),
    partial(ppo, SPACE, settings=PpoSettings(rollout=4)),
]
Make = Callable[[int], PolicyAgent]


def asked(agent: PolicyAgent, step: int) -> Trial:
    proposal = agent.ask(Observation(step=step))
    assert SPACE.contains(proposal.settings)
    return Trial(
        id=step, first_ticket=0, tickets=1, settings=proposal.settings, kind="explore", note=proposal.note,
        log_probability=proposal.log_probability,
    )  # fmt: skip


def worth(trial: Trial) -> Reward:
    settings = trial.settings
    return Reward(value=(settings["a.m"] == "y") - (settings["a.t"] - 0.2) ** 2 + settings["a.mix"]["p"])


def played(agent: PolicyAgent, steps: range) -> list[Trial]:
    trials = []
    for step in steps:
        trials.append(asked(agent, step))
        agent.tell(trials[-1], worth(trials[-1]))
    return trials


def stored(trial: Trial) -> Trial:
    return msgspec.json.decode(msgspec.json.encode(trial), type=Trial)


@pytest.mark.parametrize("make", MAKERS, ids=["direct", "ppo"])
def test_rewards_make_what_is_asked_better(make: Make) -> None:
    values = [worth(trial).value for trial in played(make(3), range(1, 41))]
    assert np.mean(values[-10:]) > np.mean(values[:10]) + 0.15  # type: ignore[arg-type]


@pytest.mark.parametrize("make", MAKERS, ids=["direct", "ppo"])
def test_told_again_or_loaded_it_asks_the_same_as_one_that_went_on(make: Make) -> None:
    agent = make(5)
    trials = played(agent, range(1, 11))
    state = json.loads(json.dumps(agent.state_dict()))
    ahead = played(agent, range(11, 16))

    told, loaded = make(5), make(5)
    for trial in trials:
        told.tell(stored(trial), worth(trial))
    loaded.load_state_dict(state)
    assert told.recommend() == loaded.recommend()
    assert played(told, range(11, 16)) == played(loaded, range(11, 16)) == ahead
    assert told.state_dict() == loaded.state_dict() == agent.state_dict()


@pytest.mark.parametrize("make", MAKERS, ids=["direct", "ppo"])
def test_late_rewards_failures_and_foreign_trials_are_taken(make: Make) -> None:
    agent = make(5)
    trials = [asked(agent, step) for step in range(1, 9)]
    default = {"a.t": None, "a.m": "y", "a.n": 3, "a.mix": {}}
    agent.tell(Trial(id=0, first_ticket=0, tickets=1, settings=default, kind="default"), Reward(value=1.0))
    for trial in reversed(trials[1:]):
        agent.tell(trial, worth(trial))
    agent.tell(trials[0], Reward(failed=True, error="boom"))
    agent.forget(trials[0])
    assert len(agent.state_dict()["history"]) == 8
    asked(agent, 9)


def test_nothing_is_recommended_before_a_reward() -> None:
    agent = MAKERS[0](5)
    assert agent.recommend() is None
    agent.tell(asked(agent, 1), Reward(failed=True, error="boom"))
    assert agent.recommend() is None


def test_an_earlier_run_moves_the_policy_before_the_first_reward() -> None:
    begun, warm = MAKERS[0](5), MAKERS[0](5)
    earlier = [(trial.settings, worth(trial)) for trial in played(begun, range(1, 20))]
    warm.warm_start(earlier)
    assert warm.recommend() == begun.recommend()
    values = [worth(asked(warm, step)).value for step in range(1, 20)]
    assert np.mean(values) > np.mean([reward.value for _, reward in earlier])  # type: ignore[arg-type]


def test_what_the_stages_do_not_allow_is_never_asked() -> None:
    space = Space(dict(SPACE), allows=lambda settings: settings["a.t"] < 0.1)
    agent = direct(space, 1, DirectSettings())
    assert max(agent.ask(Observation(step=step)).settings["a.t"] for step in range(20)) < 0.1


def test_numpy_and_flax_agree_on_how_likely_an_action_is() -> None:
    from streamgen.control import policy_update
    from streamgen.control.policy_batch import batch_of

    agent: Any = MAKERS[0](5)
    trials = played(agent, range(1, 9))
    parameters, shape = agent._learner.parameters, agent._shape
    last = [asked(agent, step) for step in range(9, 12)]
    rows = [agent._experience(trial.settings, 0.0, trial.note, trial.log_probability) for trial in last]
    network = policy_update.network_of(shape)
    seen = policy_update._likelihood(parameters, batch_of(rows, [0.0] * 3, shape, 4), network, shape)
    expected = [trial.log_probability for trial in last]
    assert np.asarray(seen.log_probability)[:3].tolist() == pytest.approx(expected, abs=1e-4)
    assert len(trials) == 8


def test_without_jax_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.control.policy_agent.find_spec", lambda name: None if name == "flax" else name)
    with pytest.raises(MissingExtra, match=r"'ppo' needs an extra: pip install 'streamgen-llm\[rl\]'"):
        ppo(SPACE, 1, PpoSettings())


@pytest.mark.parametrize("settings", [DirectSettings, PpoSettings])
def test_a_spread_below_the_least_is_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match="least_spread is above spread"):
        settings(spread=0.05).check()
