from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from streamgen.control.build import ControllerSpec, build_controller
from streamgen.control.random_search import RandomSearch
from streamgen.errors import RecipeError, UnknownName
from streamgen.settings import Settings


class ChatSettings(Settings, frozen=True, kw_only=True):
    prompt: str = "{{ prompt }}"
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = 0.7


STAGES = {"answer": ChatSettings()}
SPACE = {"answer.temperature": {"low": 0.2, "high": 1.5}}
REWARD = {"type": "callback", "function": "rewards:score", "metric": "score"}


@pytest.fixture
def directory(tmp_path: Path) -> str:
    (tmp_path / "rewards.py").write_text("def score(records):\n    return {'score': len(records)}\n")
    (tmp_path / "validation.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')
    return str(tmp_path)


def spec(**more: Any) -> ControllerSpec:
    return msgspec.convert({"space": SPACE, "reward": REWARD, **more}, ControllerSpec)


def test_a_controller_is_built_from_the_recipes_words(directory: str) -> None:
    reward = {"type": "classifier", "validation": "validation.jsonl"}
    controller = build_controller(spec(batch=8, trials=3, reward=reward), STAGES, 7, directory)
    assert isinstance(controller.agent, RandomSearch)
    assert controller.trial_for(0).settings == {"answer.temperature": 0.7}
    kinds = [controller.trial_for(ticket).kind for ticket in range(0, 40, 8)]
    assert kinds == ["default", "explore", "explore", "recommended", "recommended"]


def test_the_runs_seed_counts_unless_the_controller_has_its_own(directory: str) -> None:
    def explored(run_seed: int, **more: Any) -> Any:
        return build_controller(spec(batch=1, **more), STAGES, run_seed, directory).trial_for(1).settings

    assert explored(1) == explored(1) != explored(2)
    assert explored(1, seed=5) == explored(2, seed=5)


@pytest.mark.parametrize(
    ("more", "message", "path"),
    [
        ({"agent": "random_serch"}, "did you mean 'random_search'", "$.controller.agent"),
        ({"options": {"beta": 1}}, "unknown option of the agent 'random_search' 'beta'", "$.controller.options"),
        ({"reward": {}}, "no `type`; known: acceptance, callback, classifier", "$.controller.reward"),
        ({"reward": {"type": "clasifier"}}, "did you mean 'classifier'", "$.controller.reward.type"),
        ({"reward": {**REWARD, "metrc": 1}}, "did you mean 'metric'", "$.controller.reward"),
        ({"reward": {**REWARD, "timeout_s": 0}}, "> 0", "$.controller.reward.timeout_s"),
        ({"reward": {"type": "callback", "metric": "m"}}, "setting is missing: `function`", "$.controller.reward"),
        ({"reward": {"type": "classifier", "validation": "no.jsonl"}}, "cannot read", "$.controller.reward.validation"),
        ({"space": {}}, "empty", "$.controller.space"),
        ({"space": {"anser.temperature": {"low": 0, "high": 1}}}, "'answer'", '$.controller.space."anser.temperature"'),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    directory: str, more: dict[str, Any], message: str, path: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        build_controller(spec(**more), STAGES, 7, directory)
    assert caught.value.path == path


@pytest.mark.parametrize("more", [{"batch": 0}, {"trials": 0}, {"evaluators": 0}, {"pool": -1}, {"btach": 3}])
def test_a_spec_out_of_bounds_is_refused(more: dict[str, int]) -> None:
    with pytest.raises(msgspec.ValidationError):
        spec(**more)


def test_an_unknown_reward_is_an_unknown_name(directory: str) -> None:
    with pytest.raises(UnknownName):
        build_controller(spec(reward={"type": "money"}), STAGES, 7, directory)


def test_an_installed_agent_gets_its_options(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Options(Settings, frozen=True, kw_only=True):
        beta: float = 1.0

    class Bandit(RandomSearch):
        def __init__(self, space: Any, seed: int, settings: Options) -> None:
            super().__init__(space, seed)
            self.beta = settings.beta

    Bandit.__init__.__annotations__["settings"] = Options
    monkeypatch.setattr("streamgen.registry.find", lambda group, name, path: Bandit if group == "agents" else _Length)
    controller = build_controller(spec(agent="bandit", options={"beta": 2}, reward={"type": "length"}), STAGES, 7)
    assert isinstance(controller.agent, Bandit)
    assert controller.agent.beta == 2.0
    with pytest.raises(UnknownName, match="did you mean 'beta'"):
        build_controller(spec(agent="bandit", options={"bta": 2}, reward={"type": "length"}), STAGES, 7)


class _Length:
    """A reward without settings."""

    metric = "n"
