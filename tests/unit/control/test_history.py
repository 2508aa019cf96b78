from __future__ import annotations

import json
from typing import Any

import pytest

from streamgen.control.agent import Reward
from streamgen.control.encoding import Encoding
from streamgen.control.history import History
from streamgen.control.space import Categorical, Float, Space

ENCODING = Encoding(Space({"a.t": Float(0.0, 1.0), "a.m": Categorical(("x", "y"))}))


def told(*rewards: tuple[float, str, float | None], kept: int = 99) -> History:
    history = History(ENCODING, kept)
    for index, (place, method, value) in enumerate(rewards):
        history.add(index, settings(place, method), Reward(value=value, failed=value is None))
    return history


def settings(place: float, method: str) -> dict[str, Any]:
    return {"a.t": place, "a.m": method}


def test_a_lucky_draw_among_bad_neighbours_loses_to_a_good_one_among_good_ones() -> None:
    lucky = [(0.2, "x", 0.8), (0.22, "x", 0.2), (0.18, "x", 0.1)]
    good = [(0.7, "x", 0.75), (0.72, "x", 0.7), (0.68, "x", 0.72)]
    recommended = told(*lucky, *good).recommend()
    assert recommended is not None
    assert recommended["a.t"] in (0.68, 0.7, 0.72)
    assert told(*lucky[:1], *good[:1]).recommend() == settings(0.2, "x")


def test_a_neighbour_with_another_choice_tells_little() -> None:
    for other, best in (("y", 0.2), ("x", 0.7)):
        rows = [(0.2, "x", 0.9), (0.21, other, 0.1), (0.7, "x", 0.75), (0.9, "y", 0.7)]
        assert told(*rows).recommend() == settings(best, "x")


def test_failures_are_not_kept_and_nothing_is_recommended_from_them() -> None:
    history = told((0.2, "x", None))
    assert (len(history), history.recommend()) == (0, None)


def test_the_newest_rewards_are_kept_and_a_trial_has_one() -> None:
    history = told(*((index / 10, "x", float(index)) for index in range(5)), kept=3)
    assert [row.trial for row in history.rows] == [2, 3, 4]
    history.add(3, settings(0.3, "x"), Reward(value=9.0))
    assert [(row.trial, row.value) for row in history.rows] == [(2, 2.0), (4, 4.0), (3, 9.0)]


def test_the_state_goes_through_json() -> None:
    history, other = told((0.2, "x", 0.8), (0.7, "y", 0.75)), History(ENCODING)
    other.load(json.loads(json.dumps(history.state())))
    assert other.rows == history.rows
    assert other.recommend() == history.recommend()
    with pytest.raises(ValueError, match="array"):
        other.load({"rows": []})
