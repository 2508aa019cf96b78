from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.control.binding import check_space, current_values, variants, with_values
from streamgen.control.parameters import Categorical, Float, Int
from streamgen.control.space import Space, by_stage
from streamgen.control.space_recipe import parse_space
from streamgen.errors import FatalError, RecipeError, UnknownName
from streamgen.settings import Settings


class ChatSettings(Settings, frozen=True, kw_only=True):
    prompt: str = "{{ prompt }}"
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    max_tokens: int = 512
    stop: tuple[str, ...] = ()


class LengthSettings(Settings, frozen=True, kw_only=True):
    min_words: int = 3
    max_words: int = 9

    def check(self) -> None:
        if self.min_words > self.max_words:
            raise ValueError("min_words is above max_words")


STAGES = {"answer": ChatSettings(), "long-enough": LengthSettings()}


def bound(raw: Mapping[str, Any]) -> Space:
    return check_space(parse_space(raw), STAGES)


def test_a_range_is_of_whole_numbers_where_both_ends_are() -> None:
    space = parse_space({"a.x": {"low": 1, "high": 8}, "a.y": {"low": 1.0, "high": 8}, "a.z": {"choices": [1, "b"]}})
    assert dict(space) == {"a.x": Int(1, 8), "a.y": Float(1.0, 8), "a.z": Categorical((1, "b"))}
    assert list(space) == ["a.x", "a.y", "a.z"]


def test_whole_ends_over_a_fractional_setting_become_a_float_range() -> None:
    space = bound(
        {"answer.temperature": {"low": 0, "high": 2}, "answer.max_tokens": {"low": 16, "high": 512, "log": True}}
    )
    assert space["answer.temperature"] == Float(0, 2)
    assert space["answer.max_tokens"] == Int(16, 512, log=True)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"low": 2, "high": 1}, "reversed"),
        ({"low": 1.0, "high": 1.0}, "holds only 1.0"),
        ({"low": 0.0, "high": 1.0, "log": True}, "begin above 0"),
        ({"low": 0.0, "high": math.inf}, "finite"),
        ({"low": 0.0, "high": True}, "finite number, not True"),
        ({"low": 0.0}, "no `high`"),
        ({"low": 0.1, "high": 1, "log": "yes"}, "true or false"),
        ({"lo": 0.1, "high": 1}, "did you mean 'low'"),
        ({"choices": ["a"], "log": True}, "unknown key 'log'"),
        ({"choices": []}, "at least one"),
        ({"choices": "abc"}, "list"),
        ({"choices": ["a", "a"]}, "twice"),
        ({"simplex": "ab"}, "list of the parts"),
        ({"simplex": ["a", 2]}, "list of the parts"),
        ({"simplex": ["a"]}, "at least two parts"),
        ({"simplex": ["a", "b", "a"]}, "'a' stands twice"),
        ({"simplex": ["a", "b"], "low": 1}, "unknown key 'low'"),
        ({"features": ["deficit"]}, "list of the parts"),
        ({"simplex": ["a", "b"], "features": []}, "`features` must be a list"),
        ({"simplex": ["a", "b"], "features": ["deficit", "deficit"]}, "'deficit' is there twice"),
        ({"simplex": ["a", "b"], "features": ["deficit"], "low": 5}, "reversed"),
        ({"low": 0.1, "high": 1, "wen": {}}, "did you mean 'when'"),
        ([0.1, 0.2], "expected { low"),
    ],
)
def test_a_range_that_cannot_be_is_refused_with_its_place(raw: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parse_space({"answer.temperature": raw})
    assert caught.value.path == '$.controller.space."answer.temperature"'


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("deficits", "did you mean 'deficit'"),
        (3, "observed feature's name"),
        ({"prior": {"a": 1.0}}, "a number for each of a, b"),
        ({"prior": {"a": 1.0, "b": "x"}}, "a number for each of a, b"),
    ],
)
def test_a_feature_that_cannot_be_is_refused_with_its_place(feature: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parse_space({"a.mix": {"simplex": ["a", "b"], "features": ["coverage", feature]}})
    assert caught.value.path == '$.controller.space."a.mix".features[1]'


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("evolve", "expected a condition"),
        ({}, "expected a condition"),
        ({"a.metod": "evolve"}, "did you mean 'a.method'"),
        ({"a.method": []}, "no value of 'a.method'"),
        ({"a.method": ["evolve", "evolv"]}, "never 'evolv'"),
        ({"a.t": 0.5}, "neither choices nor whole numbers"),
        ({"a.rounds": 2}, "in a circle: a.depth -> a.rounds -> a.depth|in a circle: a.rounds -> a.depth -> a.rounds"),
        ({"a.depth": 2}, "in a circle: a.depth -> a.depth"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_with_its_place(when: Any, message: str) -> None:
    raw = {
        "a.depth": {"low": 1, "high": 4, "when": when},
        "a.method": {"choices": ["chat", "evolve"]},
        "a.t": {"low": 0.0, "high": 1.0},
        "a.rounds": {"low": 1, "high": 4, "when": {"a.depth": 2}},
    }
    with pytest.raises(RecipeError, match=message) as caught:
        parse_space(raw)
    assert caught.value.path in ('$.controller.space."a.depth".when', '$.controller.space."a.rounds".when')


def test_an_empty_space_is_refused() -> None:
    with pytest.raises(RecipeError, match="space is empty"):
        parse_space({})


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("answr.temperature", {"low": 0.1, "high": 1.0}, "did you mean 'answer'"),
        ("answer.temprature", {"low": 0.1, "high": 1.0}, "did you mean 'temperature'"),
        ("temperature", {"low": 0.1, "high": 1.0}, 'written as "stage.setting"'),
        ("answer.temperature", {"low": 0.1, "high": 2.5}, "temperature = 2.5.*<= 2"),
        ("answer.max_tokens", {"low": 0.5, "high": 2.5}, "Expected `int"),
        ("answer.prompt", {"choices": ["{{ prompt }}", 3]}, "prompt = 3"),
        ("long-enough.min_words", {"low": 1, "high": 12}, "min_words is above max_words"),
        ("long-enough.min_words", {"low": 4, "high": 6}, "own value, 3"),
        ("answer.prompt", {"choices": ["x", "y"]}, "own value, '{{ prompt }}'"),
    ],
)
def test_a_space_that_does_not_fit_its_stages_is_refused_with_its_place(name: str, raw: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        bound({name: raw})
    assert caught.value.path == f'$.controller.space."{name}"'


def test_an_unknown_stage_is_an_unknown_name() -> None:
    with pytest.raises(UnknownName):
        bound({"nowhere.temperature": {"low": 0.1, "high": 1.0}})


def test_a_value_is_converted_to_its_fields_type() -> None:
    assert with_values(ChatSettings(), {"stop": ["a", "b"]}).stop == ("a", "b")


def test_variants_hold_every_end_and_choice_once() -> None:
    space = bound(
        {"answer.temperature": {"low": 0.5, "high": 1.0}, "answer.prompt": {"choices": ["{{ prompt }}", "b", "c"]}}
    )
    found = [(v.stage, v.path, v.settings) for v in variants(space, STAGES)]
    assert [settings for _, _, settings in found] == [
        ChatSettings(temperature=0.5),
        ChatSettings(temperature=1.0),
        ChatSettings(),
        ChatSettings(prompt="b"),
        ChatSettings(prompt="c"),
    ]
    assert {(stage, path) for stage, path, _ in found} == {
        ("answer", '$.controller.space."answer.temperature"'),
        ("answer", '$.controller.space."answer.prompt"'),
    }


def test_current_values_are_the_recipes_own_also_where_unset() -> None:
    space = bound({"answer.temperature": {"low": 0.5, "high": 1.0}, "long-enough.min_words": {"low": 1, "high": 4}})
    assert current_values(space, STAGES) == {"answer.temperature": None, "long-enough.min_words": 3}


def test_settings_that_do_not_go_together_are_not_in_the_space_and_never_drawn() -> None:
    space = bound({"long-enough.min_words": {"low": 1, "high": 9}, "long-enough.max_words": {"low": 3, "high": 20}})
    assert space.contains({"long-enough.min_words": 5, "long-enough.max_words": 5})
    assert not space.contains({"long-enough.min_words": 6, "long-enough.max_words": 5})
    drawn = [space.sample(Random(seed)) for seed in range(200)]
    assert all(settings["long-enough.min_words"] <= settings["long-enough.max_words"] for settings in drawn)


def test_only_a_space_that_a_stage_may_refuse_asks_the_stages() -> None:
    class Sized(Settings, frozen=True, kw_only=True):
        size: Literal[1, 2, 5] = 1

    assert not bound({"answer.temperature": {"low": 0.5, "high": 1.0}}).is_constrained
    assert bound({"long-enough.min_words": {"low": 1, "high": 4}}).is_constrained
    assert not check_space(parse_space({"a.size": {"low": 1, "high": 2}}), {"a": Sized()}).is_constrained
    space = check_space(parse_space({"a.size": {"low": 1, "high": 5}}), {"a": Sized()})
    assert {space.sample(Random(seed))["a.size"] for seed in range(30)} == {1, 2, 5}


def test_a_space_of_which_nothing_is_allowed_says_so() -> None:
    with pytest.raises(FatalError, match="narrow it"):
        Space({"a.x": Int(1, 2)}, allows=lambda _: False).sample(Random(1))


def test_contains_wants_every_name_and_no_other() -> None:
    space = Space({"a.x": Int(1, 4), "a.y": Categorical((True, "b"))})
    assert space.contains({"a.x": 4, "a.y": True})
    assert not space.contains({"a.x": 4})
    assert not space.contains({"a.x": 4, "a.y": "b", "a.z": 1})
    assert not space.contains({"a.x": 5, "a.y": "b"})
    assert not space.contains({"a.x": 2.0, "a.y": "b"})
    assert not space.contains({"a.x": 2, "a.y": 1})


def test_settings_are_grouped_by_stage_at_the_last_dot() -> None:
    assert by_stage({"a.x": 1, "b.c.y": 2, "a.z": 3}) == {"a": {"x": 1, "z": 3}, "b.c": {"y": 2}}


def test_each_whole_number_and_choice_is_drawn_equally_often() -> None:
    space = Space({"a.x": Int(1, 4), "a.y": Categorical(("p", "q"))})
    places = [(index + 0.5) / 400 for index in range(400)]
    drawn = [space.decode([place, place]) for place in places]
    assert [sum(settings["a.x"] == value for settings in drawn) for value in (1, 2, 3, 4)] == [100] * 4
    assert [sum(settings["a.y"] == value for settings in drawn) for value in ("p", "q")] == [200] * 2


def test_a_log_range_is_even_in_the_logarithm() -> None:
    assert Float(0.01, 100.0, log=True).decode(0.5) == pytest.approx(1.0)
    below = sum(Int(1, 99, log=True).decode((index + 0.5) / 1000) < 10 for index in range(1000))
    assert below == 500


def test_numpys_generator_draws_too() -> None:
    space = Space({"a.x": Float(0.0, 1.0)})
    assert space.contains(space.sample(np.random.default_rng(1)))


PARAMETERS = st.one_of(
    st.builds(
        lambda low, width, log: Float(low, low + width, log), st.floats(0.01, 50), st.floats(0.1, 90), st.booleans()
    ),
    st.builds(
        lambda low, width, log: Int(low, low + width, log), st.integers(1, 50), st.integers(1, 900), st.booleans()
    ),
    st.builds(lambda n: Categorical(tuple(f"c{i}" for i in range(n))), st.integers(1, 9)),
)


@given(PARAMETERS, st.floats(0, 1, exclude_max=True))
def test_what_is_decoded_is_contained_and_encodes_to_its_own_cell(
    parameter: Float | Int | Categorical, place: float
) -> None:
    value = parameter.decode(place)
    assert parameter.contains(value)
    assert 0 <= parameter.encode(value) <= 1
    again = parameter.decode(parameter.encode(value))
    assert again == pytest.approx(value) if isinstance(parameter, Float) else again == value
