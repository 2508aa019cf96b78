from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.control.encoding import Encoding
from streamgen.control.space import Categorical, Float, Int, Space
from streamgen.errors import FatalError

SPACE = Space(
    {
        "a.t": Float(0.0, 2.0),
        "b.m": Categorical(("x", "y", "z")),
        "a.n": Int(1, 4),
        "a.k": Int(1, 300, log=True),
    }
)


def test_a_point_has_numbers_and_indices_in_the_spaces_order() -> None:
    encoding = Encoding(SPACE)
    assert (encoding.continuous, encoding.sizes.tolist()) == (3, [3])
    u, c = encoding.encode({"a.t": 0.5, "b.m": "z", "a.n": 4, "a.k": 1})
    assert u[:2].tolist() == [0.25, 0.875]
    assert c.tolist() == [2]
    assert encoding.decode(u, c) == {"a.t": 0.5, "b.m": "z", "a.n": 4, "a.k": 1}


def test_what_has_no_value_stands_in_the_middle_and_what_lies_outside_at_the_end() -> None:
    u, c = Encoding(SPACE).encode({"a.t": None, "b.m": "unknown", "a.n": 9})
    assert u.tolist() == [0.5, 0.875, pytest.approx(0.5, abs=0.02)]
    assert c.tolist() == [0]


@given(st.lists(st.floats(-0.5, 1.5), min_size=3, max_size=3), st.integers(0, 2))
def test_a_snapped_point_is_where_its_settings_are(places: list[float], choice: int) -> None:
    encoding = Encoding(SPACE)
    u, c = encoding.snap(np.array(places), np.array([choice]))
    settings = encoding.decode(u, c)
    assert SPACE.contains(settings)
    assert encoding.encode(settings).u.tolist() == pytest.approx(u.tolist())
    assert encoding.encode(settings).c.tolist() == c.tolist()
    assert encoding.decode(np.array(places), c) == settings


def test_samples_are_in_the_space_uniform_and_the_same_for_the_same_seed() -> None:
    encoding = Encoding(SPACE)
    u, c = encoding.sample(np.random.default_rng(3), 500)
    assert (u.shape, c.shape) == ((500, 3), (500, 1))
    assert all(SPACE.contains(encoding.decode(*point)) for point in zip(u, c, strict=True))
    counts: Any = np.bincount(c[:, 0])
    assert counts.min() > 500 / 3 * 0.8
    again = encoding.sample(np.random.default_rng(3), 500)
    assert np.array_equal(u, again.u)
    assert np.array_equal(c, again.c)


def test_only_what_the_stages_allow_is_sampled() -> None:
    space = Space(dict(SPACE), allows=lambda settings: settings["a.t"] < 0.4)
    encoding = Encoding(space)
    u, c = encoding.sample(np.random.default_rng(3), 50)
    assert len(u) == len(c) == 50
    assert u[:, 0].max() < 0.2


def test_a_space_of_which_nothing_is_allowed_says_so() -> None:
    with pytest.raises(FatalError, match="narrow it"):
        Encoding(Space(dict(SPACE), allows=lambda _: False)).sample(np.random.default_rng(3), 50)
