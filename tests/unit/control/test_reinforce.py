from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
import structlog

from streamgen.control import features
from streamgen.control.agent import Observation, Reward, Trial
from streamgen.control.build import ControllerSpec, build_agent
from streamgen.control.candidate_agent import SHOWN, CandidateAgent
from streamgen.control.candidate_learning import LISTED, WINDOW, Choice, Objective, advantages, choices_of
from streamgen.control.candidate_policy import (
    BOLDNESS,
    WEIGHTS,
    flattened,
    load,
    log_shares,
    prior,
    scores,
    shipped,
    unflattened,
)
from streamgen.control.parameters import Categorical, Float, Int, Simplex
from streamgen.control.policy_agent import PolicyAgent
from streamgen.control.reinforce import ReinforceSettings, reinforce
from streamgen.control.space import Space

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


def made(seed: int, **settings: Any) -> CandidateAgent:
    agent = reinforce(SPACE, seed, ReinforceSettings(**settings))
    assert isinstance(agent, CandidateAgent)
    return agent


def asked(agent: Any, step: int, **seen: Any) -> Trial:
    proposal = agent.ask(Observation(step=step, **seen))
    assert SPACE.contains(proposal.settings)
    return Trial(
        id=step, first_ticket=0, tickets=1, settings=proposal.settings, kind="explore", note=proposal.note,
        log_probability=proposal.log_probability,
    )  # fmt: skip


def worth(trial: Trial) -> Reward:
    settings: Any = trial.settings
    return Reward(value=(settings["a.m"] == "y") - 3 * (settings["a.t"] - 0.2) ** 2 + settings["a.mix"]["p"])


def played(agent: CandidateAgent, steps: range) -> list[Trial]:
    trials = []
    for step in steps:
        trials.append(asked(agent, step))
        agent.tell(trials[-1], worth(trials[-1]))
    return trials


def test_what_is_recommended_was_tried_until_the_first_trials_are_over() -> None:
    agent = made(3)
    assert agent.recommend() is None
    tried = [trial.settings for trial in played(agent, range(1, 6))]
    assert agent.recommend() in tried


def test_later_the_best_guess_is_recommended_whether_it_was_tried_or_not() -> None:
    was_tried = 0
    for seed in range(4):
        agent = made(seed, learning_rate=0)
        trials = played(agent, range(1, 13))
        recommended = agent.recommend()
        assert SPACE.contains(recommended or {})
        was_tried += recommended in [trial.settings for trial in trials]
        guess = worth(msgspec.structs.replace(trials[0], settings=recommended)).value
        best = max(worth(trial).value or 0.0 for trial in trials)
        assert guess is not None and guess > best - 0.1
    assert was_tried < 4


def stored(trial: Trial) -> Trial:
    return msgspec.json.decode(msgspec.json.encode(trial), type=Trial)


def test_a_good_setting_is_found_in_few_trials() -> None:
    values = [worth(trial).value for trial in played(made(3), range(1, 16))]
    assert np.mean(values[-5:]) > 1.5  # type: ignore[arg-type]
    assert np.mean(values[-5:]) > np.mean(values[:5]) + 0.5  # type: ignore[arg-type]


def test_told_again_or_loaded_it_asks_the_same_as_one_that_went_on() -> None:
    agent = made(5)
    trials = played(agent, range(1, 9))
    state = json.loads(json.dumps(agent.state_dict()))
    ahead = played(agent, range(9, 12))

    told, loaded = made(5), made(5)
    for trial in trials:
        told.tell(stored(trial), worth(trial))
    loaded.load_state_dict(state)
    assert told.recommend() == loaded.recommend()
    assert played(told, range(9, 12)) == played(loaded, range(9, 12)) == ahead
    assert told.state_dict() == loaded.state_dict() == agent.state_dict()
    assert not np.array_equal(agent._policy["head"]["kernel"], shipped()["head"]["kernel"])


def test_without_learning_the_policy_stays_as_it_was_shipped() -> None:
    agent = made(5, learning_rate=0)
    played(agent, range(1, 6))
    assert flattened(agent._policy).keys() == flattened(shipped()).keys()
    assert all(np.array_equal(each, flattened(shipped())[name]) for name, each in flattened(agent._policy).items())


def test_late_rewards_failures_pending_and_foreign_trials_are_taken() -> None:
    agent = made(5)
    trials = [asked(agent, step) for step in range(1, 12)]
    default = {"a.t": None, "a.m": "y", "a.n": 3, "a.mix": {}}
    agent.tell(Trial(id=0, first_ticket=0, tickets=1, settings=default, kind="default"), Reward(value=1.0))
    for trial in reversed(trials[3:]):
        agent.tell(trial, worth(trial))
    agent.tell(trials[0], Reward(failed=True, error="boom"))
    agent.forget(trials[1])
    late = asked(agent, 12, pending=tuple(trials[1:3]), coverage={"p": 0.5})
    assert late.log_probability is not None
    assert late.settings not in [trial.settings for trial in trials[1:3]]


def test_the_policy_is_asked_once_enough_rewards_are_there_and_its_note_is_small() -> None:
    agent = made(5)
    noted = [SHOWN in trial.note for trial in played(agent, range(8 + 3))]
    assert noted == [False] * 8 + [True] * 3
    trial = asked(agent, 14)
    assert len(msgspec.json.encode(trial)) < 4000
    choice = Choice.of(trial.note[SHOWN], trial.log_probability or 0.0, 1.0)  # type: ignore[arg-type]
    assert np.array(choice.own).shape == (LISTED, features.OWN)
    assert len(choice.among) == features.FEATURES - features.OWN


def test_what_the_stages_do_not_allow_is_never_asked() -> None:
    space = Space(dict(SPACE), conditions=SPACE.conditions, allows=lambda settings: settings["a.t"] < 0.1)
    agent = reinforce(space, 1, ReinforceSettings())
    for step in range(8):
        trial = asked(agent, step)
        assert trial.settings["a.t"] < 0.1  # type: ignore[operator]
        agent.tell(trial, worth(trial))


def test_without_jax_it_acts_and_says_once_that_it_does_not_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.control.candidate_agent.find_spec", lambda name: None if name == "flax" else name)
    with structlog.testing.capture_logs() as logs:
        agent = made(5)
        played(agent, range(1, 6))
    assert [line["log_level"] for line in logs] == ["warning"]
    assert "streamgen-llm[rl]" in logs[0]["event"]


def test_a_recipe_tells_it_how_many_trials_are_planned() -> None:
    spec = ControllerSpec(reward={}, space={}, agent="reinforce", trials=7)
    assert build_agent(spec, SPACE, 1)._trials == 7  # type: ignore[attr-defined]
    own = msgspec.structs.replace(spec, options={"trials": 9})
    assert build_agent(own, SPACE, 1)._trials == 9  # type: ignore[attr-defined]


def test_the_direct_policy_is_one_setting_away() -> None:
    assert isinstance(reinforce(SPACE, 1, ReinforceSettings(policy="direct")), PolicyAgent)


def test_the_prior_is_the_upper_confidence_bound_where_nothing_fails() -> None:
    seen = np.random.default_rng(1).normal(size=(5, features.FEATURES))
    seen[:, features.CHANCE] = 1.0
    expected = seen[:, features.GAP] + BOLDNESS * seen[:, features.DEVIATION]
    assert scores(prior(np.random.default_rng(2)), seen) == pytest.approx(expected)
    seen[:, features.CHANCE], seen[:, features.RANGE] = 0.0, 2.0
    assert scores(prior(np.random.default_rng(2)), seen) == pytest.approx([-2.0] * 5)


def test_weights_come_back_from_their_file_and_say_where_they_are_from(tmp_path: Any) -> None:
    begun = prior(np.random.default_rng(2))
    np.savez(tmp_path / "w.npz", **flattened(begun))
    assert all(
        np.array_equal(each, flattened(begun)[name]) for name, each in flattened(load(tmp_path / "w.npz")).items()
    )
    assert unflattened(flattened(begun)).keys() == begun.keys() == shipped().keys()
    assert WEIGHTS.stat().st_size < 10_000


def test_numpy_and_flax_score_alike() -> None:
    from streamgen.control.candidate_update import logits

    seen = np.random.default_rng(1).normal(size=(7, features.FEATURES))
    policy = shipped()
    expected = log_shares(policy, scores(policy, seen))
    found = np.asarray(logits(policy, seen.astype(np.float32)), dtype=np.float64)
    assert found - np.log(np.exp(found - found.max()).sum()) - found.max() == pytest.approx(expected, abs=1e-3)


def test_numpy_and_jax_see_the_same_features() -> None:
    import jax.numpy as jnp

    rng = np.random.default_rng(3)
    opinion = features.Opinion(
        rng.normal(size=(4, 9)), rng.random((4, 9)) + 0.1, rng.random(4) + 0.01, rng.normal(size=4) - 7,
        np.float64(0.7), np.float64(-1.2),
    )  # fmt: skip
    tried = features.Tried(rng.random((6, 3)), rng.integers(0, 2, (6, 2)), np.array([1.0] * 5 + [0.0]))
    u, c, chance = rng.random((9, 3)), rng.integers(0, 2, (9, 2)), rng.random(9)
    progress = features.Progress(np.float64(0.3), np.float64(5), np.float64(1), np.float64(3))

    def seen(xp: Any) -> Any:
        there = features.Opinion(*map(xp.asarray, opinion))
        near = features.around(xp.asarray(u), xp.asarray(c), features.Tried(*map(xp.asarray, tried)), chance, 3.0, xp)
        own = features.own_features(there, near, features.setting(there, xp), xp)
        common = features.common_features(there, progress, xp)
        return np.asarray(features.beside(own, xp.concatenate([own.mean(0), common]), xp))

    assert seen(np).shape == (9, features.FEATURES)
    assert seen(jnp) == pytest.approx(seen(np), abs=2e-5)


def choice(taken: int, value: float) -> Choice:
    own = np.random.default_rng(4).normal(size=(3, features.OWN)).round(3)
    own[:, features.CHANCE] = 1.0
    among = [0.0] * (features.FEATURES - features.OWN)
    likely = log_shares(shipped(), scores(shipped(), features.beside(own, np.array(among), np)))
    return Choice(own.tolist(), among, taken, float(likely[taken]), value)


def test_choices_fill_rows_and_are_worth_what_they_bring_beyond_their_neighbours() -> None:
    rows = choices_of([choice(1, 2.0), choice(2, 1.0)])
    assert rows.features.shape == (WINDOW, LISTED, features.FEATURES)
    assert rows.offered[:, 0].tolist() == [1.0] * WINDOW
    assert rows.offered.sum() == WINDOW + 2 * 2
    assert rows.advantage[:3].tolist() == [2.0, -2.0, 0.0]
    assert advantages(np.array([1.0])).tolist() == [0.0]
    climbing = advantages(np.arange(20.0))
    assert climbing[4:16] == pytest.approx(np.zeros(12))


def test_what_brought_more_becomes_likelier_and_the_anchor_holds_back() -> None:
    from streamgen.control.candidate_update import update_from

    rows = choices_of([choice(1, 2.0), choice(2, 1.0), choice(1, 2.0), choice(2, 1.0)])
    seen = rows.features[0, :3].astype(np.float64)

    def gained(anchor: float) -> float:
        begun = shipped()
        after = update_from(begun, Objective(0.05, 4, 1.0, anchor), choices_of([]))(begun, rows)
        before, now = (log_shares(policy, scores(policy, seen)) for policy in (begun, after))
        return float((now - before)[1] - (now - before)[2])

    assert gained(0.0) > gained(3.0) > 0
