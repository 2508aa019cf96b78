from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from streamgen.control.agent import Observation, Reward, Trial
from streamgen.control.halton import Halton
from streamgen.control.parameters import Categorical, Float, Int, Simplex
from streamgen.control.posterior import Evidence, PosteriorMean, posterior_means
from streamgen.control.random_search import RandomSearch
from streamgen.control.space import Space

SPACE = Space({"a.t": Float(0.0, 1.0), "a.n": Int(1, 8), "b.m": Categorical(("x", "y", "z"))})


def asked(agent: RandomSearch, steps: range) -> list[Mapping[str, Any]]:
    return [agent.ask(Observation(step=step)).settings for step in steps]


def trial(settings: Mapping[str, Any], id_: int = 0) -> Trial:
    return Trial(id=id_, first_ticket=id_ * 8, tickets=8, settings=settings, kind="explore")


def worth(value: float, n: int = 32, se: float | None = None) -> Reward:
    return Reward(value=value, n=n, se=se)


def believed(*told: tuple[str, Reward]) -> list[PosteriorMean]:
    evidence: dict[str, Evidence] = {}
    for name, reward in told:
        evidence.setdefault(name, Evidence({"b.m": name})).add(reward)
    return posterior_means(evidence.values())


def recommended(*told: tuple[str, Reward]) -> Any:
    return max(believed(*told), key=lambda mean: mean.value).settings["b.m"]


FAILED = Reward(failed=True, error="boom")


def test_a_seed_gives_the_same_settings_and_another_seed_others() -> None:
    assert asked(RandomSearch(SPACE, 7), range(20)) == asked(RandomSearch(SPACE, 7), range(20))
    assert asked(RandomSearch(SPACE, 7), range(20)) != asked(RandomSearch(SPACE, 8), range(20))


def test_a_step_gives_the_same_settings_whatever_was_asked_and_told_before() -> None:
    agent = RandomSearch(SPACE, 7)
    agent.tell(trial({"a.t": 0.1, "a.n": 1, "b.m": "x"}), worth(0.5))
    assert asked(agent, range(11, 13)) == asked(RandomSearch(SPACE, 7), range(13))[11:]


def test_all_settings_are_in_the_space_and_spread_over_it() -> None:
    settings = asked(RandomSearch(SPACE, 3), range(24))
    assert all(SPACE.contains(each) for each in settings)
    # bases 2, 3, 5 at 24 points: every eighth, every whole number and every choice has been seen
    assert {int(each["a.t"] * 8) for each in settings} == set(range(8))
    assert {each["a.n"] for each in settings} == set(range(1, 9))
    assert {each["b.m"] for each in settings} == {"x", "y", "z"}


def test_a_point_that_the_stages_do_not_allow_is_replaced_by_one_that_they_do() -> None:
    space = Space({"a.t": Float(0.0, 1.0)}, allows=lambda settings: settings["a.t"] < 0.3)
    settings = asked(RandomSearch(space, 1), range(50))
    assert max(each["a.t"] for each in settings) < 0.3
    assert len({each["a.t"] for each in settings}) == 50


def test_nothing_is_recommended_before_a_reward() -> None:
    agent = RandomSearch(SPACE, 1)
    assert agent.recommend() is None
    agent.tell(trial({"b.m": "x"}), FAILED)
    assert agent.recommend() is None


def test_the_best_of_equally_certain_settings_is_recommended() -> None:
    assert recommended(("x", worth(0.4)), ("y", worth(0.6)), ("z", worth(0.5))) == "y"


def test_a_lucky_draw_from_few_records_loses_to_a_level_from_many() -> None:
    assert recommended(("x", worth(0.70, n=2)), ("y", worth(0.68, n=64)), ("z", worth(0.4, n=64))) == "y"


def test_a_lucky_draw_with_a_wide_error_loses_to_a_certain_level() -> None:
    lucky, sure, low = worth(0.70, se=0.2), worth(0.68, se=0.01), worth(0.4, se=0.01)
    assert recommended(("x", lucky), ("y", sure), ("z", low)) == "y"


def test_a_level_that_was_seen_again_beats_one_lucky_draw() -> None:
    again = [("y", worth(value)) for value in (0.60, 0.76, 0.64, 0.72)]
    assert recommended(("x", worth(0.70)), *again, ("z", worth(0.4))) == "y"


def test_settings_that_fail_as_often_as_they_work_are_not_recommended() -> None:
    assert recommended(("x", worth(0.9)), ("x", FAILED), ("y", worth(0.1))) == "y"
    assert recommended(("x", worth(0.9)), ("x", worth(0.9)), ("x", FAILED), ("y", worth(0.1))) == "x"


def test_equal_rewards_recommend_the_first_that_was_tried() -> None:
    assert recommended(("x", worth(0.5)), ("y", worth(0.5))) == "x"


def test_the_posterior_mean_is_the_james_stein_formula() -> None:
    # means 0.2 and 0.6: overall 0.4, spread 0.04; v = 0.04 halves the distance, v = 0 keeps it
    means = believed(("x", worth(0.2, se=0.2)), ("y", worth(0.6, se=0.0)))
    assert [round(mean.value, 9) for mean in means] == [0.3, 0.6]


def test_rewards_told_a_thousand_times_leave_a_state_of_one_entry() -> None:
    agent = RandomSearch(SPACE, 1)
    for index in range(1000):
        agent.tell(trial({"b.m": "x"}, index), worth(0.4 + index % 2 / 10))
    [entry] = agent.state_dict()["tried"]
    assert (entry["worked"], entry["records"]) == (1000, 32_000)
    assert entry["mean"] == pytest.approx(0.45)
    assert entry["squares"] == pytest.approx(1000 * 0.05**2)


def test_a_state_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="array"):
        RandomSearch(SPACE, 1).load_state_dict({"weights": []})


def test_the_state_goes_through_json_to_another_agent() -> None:
    agent = RandomSearch(SPACE, 1)
    agent.tell(trial({"b.m": "x"}), worth(0.4))
    agent.tell(trial({"b.m": "y"}), Reward(value=0.6, metrics={"f1": 0.6}, n=3, se=0.01))
    other = RandomSearch(SPACE, 1)
    other.load_state_dict(msgspec.json.decode(msgspec.json.encode(agent.state_dict())))
    assert other.state_dict() == agent.state_dict()
    assert other.recommend() == agent.recommend() == {"b.m": "y"}


def test_the_first_points_of_a_base_hit_each_of_its_cells_once() -> None:
    points = [Halton(4, seed=5).point(index) for index in range(7)]
    for dimension, base in enumerate((2, 3, 5, 7)):
        cells = [int(point[dimension] * base) for point in points[:base]]
        assert sorted(cells) == list(range(base))


def test_shares_and_conditions_are_spread_evenly_too() -> None:
    space = Space(
        {"a.m": Categorical(("x", "y")), "a.n": Int(1, 3), "a.mix": Simplex(("p", "q", "r"))},
        conditions={"a.n": {"a.m": ("y",)}},
    )
    settings = asked(RandomSearch(space, 3), range(60))
    assert all(space.contains(each) for each in settings)
    assert sum("a.n" in each for each in settings) == 30
    assert sum(each["a.mix"]["r"] for each in settings) / 60 == pytest.approx(1 / 3, abs=0.03)


def test_rewards_of_an_earlier_run_count_like_its_own() -> None:
    agent = RandomSearch(SPACE, 1)
    agent.warm_start([({"b.m": "x"}, worth(0.4)), ({"b.m": "y"}, worth(0.6)), ({"b.m": "z"}, FAILED)])
    assert agent.recommend() == {"b.m": "y"}
    assert asked(agent, range(5)) == asked(RandomSearch(SPACE, 1), range(5))
