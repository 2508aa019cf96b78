from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.control.agent import Observation
from streamgen.control.binding import check_space, current_values, variants
from streamgen.control.encoding import Encoding
from streamgen.control.parameters import Categorical, Float, Int, Simplex
from streamgen.control.space import Space
from streamgen.control.space_recipe import parse_space
from streamgen.errors import RecipeError
from streamgen.settings import Settings

RAW = {
    "make.method": {"choices": ["chat", "list", "evolve"]},
    "make.depth": {"low": 1, "high": 4, "when": {"make.method": "evolve"}},
    "make.keep": {"choices": ["last", "all"], "when": {"make.depth": [3, 4]}},
    "make.few": {"low": 1, "high": 9, "when": {"make.method": ["chat", "list"]}},
    "make.temperature": {"low": 0.0, "high": 2.0},
    "make.quotas": {"simplex": ["a", "b", "c"]},
    "pick.mix": {"simplex": ["x", "y"], "features": ["deficit", {"prior": {"x": 1, "y": 0}}]},
}


class Make(Settings, frozen=True, kw_only=True):
    method: str = "chat"
    depth: int = 9
    keep: str = "last"
    few: int = 3
    temperature: float | None = None
    quotas: dict[str, float] = msgspec.field(default_factory=dict)


class Pick(Settings, frozen=True, kw_only=True):
    mix: dict[str, float] = msgspec.field(default_factory=lambda: {"x": 2.0, "y": 1.0})


STAGES: Mapping[str, msgspec.Struct] = {"make": Make(), "pick": Pick()}


def space() -> Space:
    return check_space(parse_space(RAW), STAGES)


def test_settings_leave_out_what_is_not_active_down_a_chain_of_conditions() -> None:
    every = dict.fromkeys(RAW, 1)
    active = [
        space().active({**every, "make.method": method, "make.depth": depth}).keys() & {"make.depth", "make.keep"}
        for method, depth in (("chat", 3), ("evolve", 2), ("evolve", 3))
    ]
    assert active == [set(), {"make.depth"}, {"make.depth", "make.keep"}]


def test_contains_wants_what_is_active_and_nothing_else() -> None:
    chat = {
        "make.method": "chat", "make.few": 2, "make.temperature": 1.0, "make.quotas": {"a": 1, "b": 0, "c": 0},
        "pick.mix[deficit]": 0.0, "pick.mix[prior]": 4.0,
    }  # fmt: skip
    assert space().contains(chat)
    assert not space().contains({**chat, "make.depth": 2})
    assert not space().contains({key: value for key, value in chat.items() if key != "make.few"})
    assert not space().contains({**chat, "make.quotas": {"a": 1, "b": 0}})
    assert not space().contains({**chat, "make.quotas": {"a": 0, "b": 0, "c": 0}})
    assert not space().contains({**chat, "make.quotas": {"a": 2, "b": -1, "c": 0}})


def test_the_first_trial_has_the_recipes_own_values_of_what_is_active() -> None:
    assert current_values(space(), STAGES) == {
        "make.method": "chat", "make.few": 3, "make.temperature": None, "make.quotas": {},
        "pick.mix[deficit]": None, "pick.mix[prior]": None,
    }  # fmt: skip
    # depth = 9 is outside of its range, and does not count beside the method "chat"


def test_the_own_value_of_an_active_parameter_must_be_in_its_range() -> None:
    with pytest.raises(RecipeError, match="own value, 9") as caught:
        check_space(parse_space(RAW), {**STAGES, "make": Make(method="evolve")})
    assert caught.value.path == '$.controller.space."make.depth"'


def test_every_corner_is_checked_with_values_that_make_it_count() -> None:
    class Strict(Make, frozen=True, kw_only=True):
        def check(self) -> None:
            if self.depth != 9 and self.method != "evolve":
                raise ValueError("depth needs the method evolve")

    stages = {**STAGES, "make": Strict()}
    found = [each.settings for each in variants(check_space(parse_space(RAW), stages), stages)]
    assert [each.quotas for each in found if isinstance(each, Make) and each.quotas] == [
        {"a": 1.0, "b": 0.0, "c": 0.0}, {"a": 0.0, "b": 1.0, "c": 0.0}, {"a": 0.0, "b": 0.0, "c": 1.0}
    ]  # fmt: skip
    assert [each.mix for each in found if isinstance(each, Pick)] == [{"x": 1.0, "y": 0.0}, {"x": 0.0, "y": 1.0}]
    assert {(each.method, each.depth) for each in found if isinstance(each, Make) and each.keep == "all"} == {
        ("evolve", 3)
    }


def test_shares_follow_what_the_observation_says_of_each_part() -> None:
    settings = {"pick.mix[deficit]": 2.0, "pick.mix[prior]": 1.0}
    missing_y = Observation(step=4, deficit={"y": 0.5})
    assert space().applied(settings, missing_y) == {"pick.mix": {"x": 0.5, "y": 0.5}}
    [x, y] = space().applied(settings, Observation(step=0, deficit={"y": 1.0}))["pick.mix"].values()
    assert math.log(y / x) == pytest.approx(2.0 - 1.0)


def test_an_unset_theta_leaves_the_stage_its_own_shares() -> None:
    assert space().applied({"make.few": 1, "pick.mix[deficit]": None, "pick.mix[prior]": 1.0}) == {"make.few": 1}


def test_a_mixture_of_parts_that_the_stage_does_not_take_is_refused() -> None:
    with pytest.raises(RecipeError, match="stage does not take mix") as caught:
        check_space(
            parse_space({"pick.mix": {"simplex": ["x", "y"], "features": [{"p": {"x": 0.5, "y": 1}}]}}),
            {"pick": _Named()},
        )
    assert caught.value.path == '$.controller.space."pick.mix"'


class _Named(Settings, frozen=True, kw_only=True):
    mix: dict[str, float] = msgspec.field(default_factory=lambda: {"x": 1.0})

    def check(self) -> None:
        if "y" in self.mix:
            raise ValueError("mix names y, which is no label")


def test_random_shares_are_uniform_over_the_simplex() -> None:
    # a share of k uniform ones has the mean 1/k and P(share > s) = (1 - s)^(k - 1)
    rng, simplex = Random(1), Simplex(("a", "b", "c", "d"))
    drawn = [simplex.decode([rng.random() for _ in range(3)]) for _ in range(4000)]
    for part in simplex.parts:
        assert sum(each[part] for each in drawn) / 4000 == pytest.approx(0.25, abs=0.01)
        assert sum(each[part] > 0.5 for each in drawn) / 4000 == pytest.approx(0.125, abs=0.02)


def test_sampled_points_are_uniform_over_the_simplex_too() -> None:
    u, _ = Encoding(Space({"a.mix": Simplex(("a", "b", "c", "d"))})).sample(np.random.default_rng(1), 4000)
    assert u.sum(axis=1) == pytest.approx(1.0)
    assert u.mean(axis=0) == pytest.approx(0.25, abs=0.01)
    assert (u > 0.5).mean(axis=0) == pytest.approx(0.125, abs=0.02)


def test_a_point_has_a_share_for_each_part_and_one_place_for_all_that_does_not_count() -> None:
    encoding = Encoding(space())
    assert encoding.columns == [
        "make.depth", "make.few", "make.temperature", "make.quotas[a]", "make.quotas[b]", "make.quotas[c]",
        "pick.mix[deficit]", "pick.mix[prior]",
    ]  # fmt: skip
    assert encoding.categories == ["make.method", "make.keep"]
    u, c = encoding.snap(np.tile([0.3, 0.3, 0.3, 0.2, 0.1, 0.1, 0.3, 0.3], (3, 1)), np.array([[0, 1], [2, 1], [2, 1]]))
    assert u[:, 0].tolist() == [0.5, 0.375, 0.375]
    assert u[:, 1].tolist() == [pytest.approx(5 / 18), 0.5, 0.5]
    assert u[0, 3:6].tolist() == [0.5, 0.25, 0.25]
    assert c.tolist() == [[0, 0], [2, 0], [2, 0]]


WIDE = Space(
    {
        "a.m": Categorical(("p", "q", "r")),
        "a.k": Int(1, 40, log=True),
        "a.t": Float(0.01, 3.0, log=True),
        "a.n": Int(1, 3),
        "a.mix": Simplex(("x", "y", "z")),
        "a.c": Categorical((1, True, "one")),
    },
    conditions={"a.k": {"a.m": ("p", "q")}, "a.mix": {"a.n": (2, 3), "a.m": ("q",)}, "a.c": {"a.k": (1, 2, 3)}},
)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=7, max_size=7))
def test_what_is_decoded_is_contained_and_comes_back_from_its_place_and_its_point(places: list[float]) -> None:
    settings = WIDE.decode(places)
    assert WIDE.contains(settings)
    assert_same(WIDE.decode(WIDE.encode(settings)), settings)
    encoding = Encoding(WIDE)
    point = encoding.encode(settings)
    assert_same(encoding.decode(*point), settings)
    again = encoding.snap(*point)
    assert np.allclose(again.u, point.u)
    assert again.c.tolist() == point.c.tolist()


@given(st.integers(0, 2**32))
def test_every_sample_is_contained_and_the_same_for_the_same_seed(seed: int) -> None:
    encoding = Encoding(WIDE)
    u, c = encoding.sample(np.random.default_rng(seed), 8)
    assert all(WIDE.contains(encoding.decode(*point)) for point in zip(u, c, strict=True))
    again = encoding.sample(np.random.default_rng(seed), 8)
    assert np.array_equal(again.u, u)
    assert np.array_equal(again.c, c)
    assert WIDE.sample(Random(seed)) == WIDE.sample(Random(seed))


def assert_same(left: Mapping[str, Any], right: Mapping[str, Any]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value == pytest.approx(right[name]) if isinstance(value, float | dict) else value == right[name]


def test_the_encoding_tells_which_coordinates_have_a_value() -> None:
    numbers, choices = Encoding(space()).valued({"make.method": "chat", "make.few": 1, "make.temperature": None})
    assert numbers.tolist() == [False, True, False, False, False, False, False, False]
    assert choices.tolist() == [True, False]
