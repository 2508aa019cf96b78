from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from streamgen.control.agent import Observation
from streamgen.control.encoding import Encoding
from streamgen.control.learner import as_arrays, as_lists
from streamgen.control.parameters import Categorical, Float, Simplex
from streamgen.control.policy import Shape, View, act, empty, forward, initial
from streamgen.control.space import Space

SPACE = Space({"a.t": Float(0.0, 1.0), "a.m": Categorical(("x", "y", "z")), "a.mix": Simplex(("p", "q", "r"))})
ENCODING = Encoding(SPACE)
SHAPE = Shape(View(SPACE).inputs, 4, (3,))


def begun() -> Any:
    return initial(SHAPE, ENCODING, 0.3, np.random.default_rng(1))


def test_a_policy_begins_in_the_middle_whatever_it_observes() -> None:
    for inputs in ([0.0] * SHAPE.inputs, [1.0] * SHAPE.inputs):
        heads = forward(begun(), SHAPE, inputs)
        assert heads.mean.tolist() == pytest.approx([0.5, 1 / 3, 1 / 3, 1 / 3])
        assert heads.deviation.tolist() == pytest.approx([0.3, 0.18, 0.18, 0.18])
        assert heads.shares[0].tolist() == pytest.approx([1 / 3] * 3)


def test_a_layer_of_weights_makes_it_follow_its_inputs() -> None:
    parameters = empty(Shape(1, 1, (2,)))
    parameters["hidden"]["kernel"][0, 0] = 1.0
    parameters["head"]["kernel"][0, :3] = [2.0, 0.0, 1.0]
    heads = forward(parameters, Shape(1, 1, (2,)), [0.5])
    assert heads.mean.tolist() == pytest.approx([2 * math.tanh(0.5)])
    assert math.log(heads.shares[0][1] / heads.shares[0][0]) == pytest.approx(math.tanh(0.5))


def test_an_action_is_where_its_draws_lead_and_says_how_likely_it_was() -> None:
    heads = forward(begun(), SHAPE, [0.0] * SHAPE.inputs)
    action = act(heads, [0.5, 0.5, 0.5, 0.8413447, 0.7])
    assert action.place.tolist() == pytest.approx([0.5, 1 / 3, 1 / 3, 1 / 3 + 0.18])
    assert action.choice.tolist() == [2]
    top = -0.5 * math.log(2 * math.pi)
    at_03, at_018 = top - math.log(0.3), top - math.log(0.18)
    everything = (np.array([True] * 4), np.array([True]))
    assert action.log_probability(everything) == pytest.approx(at_03 + 3 * at_018 - 0.5 + math.log(1 / 3), abs=1e-5)
    assert action.log_probability((np.array([True] + [False] * 3), np.array([False]))) == pytest.approx(at_03)


def test_the_ends_of_the_draws_stay_finite() -> None:
    for place in (0.0, 1.0):
        action = act(forward(begun(), SHAPE, [0.0] * SHAPE.inputs), [place] * 5)
        assert np.isfinite(action.place).all()
        assert 0 <= action.choice[0] <= 2


def test_the_view_is_of_the_simplexes_parts() -> None:
    observation = Observation(
        step=3, coverage={"q": 0.2, "other": 1.0}, deficit={"p": 0.3}, saturation=0.4, acceptance=0.9, budget_left=0.25
    )
    assert View(SPACE).numbers(observation) == pytest.approx([0.4, 0.1, 0.75, 0, 0.2, 0, 0.3, 0, 0, 0, 0, 0])
    assert View(Space({"a.t": Float(0.0, 1.0)})).inputs == 3


def test_parameters_go_through_json_values_unchanged_and_only_where_they_fit() -> None:
    again = as_arrays(as_lists(begun()), empty(SHAPE))
    assert np.array_equal(again["hidden"]["kernel"], begun()["hidden"]["kernel"])
    assert np.array_equal(again["log_deviation"], begun()["log_deviation"])
    with pytest.raises(ValueError, match="space is another one"):
        as_arrays(as_lists(begun()), empty(Shape(SHAPE.inputs, 5, (3,))))
    with pytest.raises(ValueError, match="layers hidden, head, log_deviation"):
        as_arrays({"hidden": {}}, empty(SHAPE))
