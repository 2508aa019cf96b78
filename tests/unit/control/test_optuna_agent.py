from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamgen.control.agent import Observation, Reward, Trial
from streamgen.control.parameters import Categorical, Float, Int, Simplex
from streamgen.control.space import Space
from streamgen.errors import FatalError, MissingExtra, RecipeError

optuna = pytest.importorskip("optuna")

from streamgen_adapters.optuna_agent import OptunaAgent, OptunaSettings  # noqa: E402

SPACE = Space(
    {
        "a.n": Int(1, 9, log=True),
        "a.m": Categorical(("x", ["y", "list"], True)),
        "a.t": Float(0.01, 1.0, log=True),
        "a.mix": Simplex(("p", "q", "r")),
    },
    conditions={"a.n": {"a.m": (["y", "list"],)}},
)
DEFAULT = {"a.m": "x", "a.t": None, "a.mix": {}}


def agent(seed: int = 3, **settings: Any) -> OptunaAgent:
    return OptunaAgent(SPACE, seed, OptunaSettings(startup=5, **settings))


def asked(of: OptunaAgent, step: int, pending: tuple[Trial, ...] = ()) -> Trial:
    settings = of.ask(Observation(step=step, pending=pending)).settings
    assert SPACE.contains(settings)
    assert list(settings) == [name for name in SPACE if name in settings]
    return Trial(id=step, first_ticket=0, tickets=1, settings=settings, kind="explore")


def worth(trial: Trial) -> Reward:
    if trial.settings["a.t"] > 0.7:
        return Reward(failed=True, error="boom")
    return Reward(value=trial.settings["a.mix"]["q"] - abs(math.log(trial.settings["a.t"] / 0.1)))


def played(of: OptunaAgent, steps: range) -> list[Trial]:
    trials = []
    for step in steps:
        trials.append(asked(of, step))
        of.tell(trials[-1], worth(trials[-1]))
    return trials


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_told_again_or_loaded_it_asks_the_same_as_one_that_went_on(sampler: Any) -> None:
    went_on = agent(sampler=sampler)
    went_on.tell(Trial(id=0, first_ticket=0, tickets=1, settings=DEFAULT, kind="default"), Reward(value=0.3))
    trials = played(went_on, range(1, 13))
    state = json.loads(json.dumps(went_on.state_dict()))
    ahead = played(went_on, range(13, 17))
    told, loaded = agent(sampler=sampler), agent(sampler=sampler)
    told.tell(Trial(id=0, first_ticket=0, tickets=1, settings=DEFAULT, kind="default"), Reward(value=0.3))
    for trial in trials:
        told.tell(trial, worth(trial))
    loaded.load_state_dict(state)
    assert played(told, range(13, 17)) == played(loaded, range(13, 17)) == ahead
    assert told.recommend() == loaded.recommend() == went_on.recommend()


def test_tpe_learns() -> None:
    values = [worth(trial).value for trial in played(agent(), range(1, 41))]
    early, late = ([value for value in part if value is not None] for part in (values[:10], values[-10:]))
    assert np.mean(late) > np.mean(early) + 0.5


def test_pending_trials_change_what_is_asked() -> None:
    of = agent()
    played(of, range(1, 11))
    alone = asked(of, 11)
    out = [Trial(id=id_, first_ticket=0, tickets=1, settings=alone.settings, kind="explore") for id_ in range(20, 23)]
    default = Trial(id=0, first_ticket=0, tickets=1, settings=DEFAULT, kind="default")
    assert asked(of, 11, (default, *out)).settings != alone.settings
    assert asked(of, 11).settings == alone.settings


def test_an_earlier_run_is_begun_with() -> None:
    of = agent()
    of.warm_start([(trial.settings, worth(trial)) for trial in played(agent(seed=9), range(1, 11))])
    assert of.recommend() is not None
    assert asked(of, 1).settings != asked(agent(), 1).settings


def test_what_the_stages_do_not_allow_is_never_asked() -> None:
    space = Space({"a.t": Float(0.0, 1.0)}, allows=lambda settings: settings["a.t"] < 0.2)
    of = OptunaAgent(space, 1, OptunaSettings())
    assert max(of.ask(Observation(step=step)).settings["a.t"] for step in range(20)) < 0.2
    never = OptunaAgent(Space({"a.t": Float(0.0, 1.0)}, allows=lambda _: False), 1, OptunaSettings(sampler="random"))
    with pytest.raises(FatalError, match="narrow the space"):
        never.ask(Observation(step=1))


def test_no_log_line_is_written_and_the_users_verbosity_stays(capsys: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    asked(agent(), 1)
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")


def test_the_agent_is_an_entry_point() -> None:
    recipe = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    target = f"{OptunaAgent.__module__}:{OptunaAgent.__qualname__}"
    assert recipe["project"]["entry-points"]["streamgen.agents"] == {"optuna": target}


def test_the_gp_without_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen_adapters.optuna_agent.find_spec", lambda _: None)
    with pytest.raises(RecipeError, match="needs PyTorch"):
        agent(sampler="gp")


def test_without_optuna_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"pip install 'streamgen-llm\[optuna\]'"):
        agent()
