from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from streamgen.context import Context
from streamgen.engine.stage import Result
from streamgen.errors import MissingColumn
from streamgen.generate.template import TemplateSettings, template
from streamgen.record import Columns, Record


def settings_of(**fields: Any) -> TemplateSettings:
    settings = msgspec.convert(fields, TemplateSettings)
    settings.check()
    return settings


def made(settings: TemplateSettings, ticket: int = 0, columns: Columns | None = None) -> Result:
    caller: Any = None
    context = Context("stage", settings, ticket=ticket, record_id=str(ticket), seed=7, caller=caller)
    return template(Record(str(ticket), columns or {}), context)


def columns_of(settings: TemplateSettings, tickets: int) -> list[Columns]:
    results = [made(settings, ticket) for ticket in range(tickets)]
    return [result.columns for result in results if isinstance(result, Record)]


def test_every_kind_of_variable_becomes_a_column() -> None:
    settings = settings_of(
        variables={
            "topic": {"choices": ["a", {"b": 1}]},
            "n": {"low": 1, "high": 5},
            "x": {"low": 0.0, "high": 1.0},
            "who": {"column": "name"},
        },
        text="{{ n }} for {{ who }}",
        output="prompt",
    )
    result = made(settings, columns={"name": "Ada", "other": 1})
    assert isinstance(result, Record)
    assert set(result.columns) == {"name", "other", "topic", "n", "x", "who", "prompt"}
    assert result["who"] == "Ada"
    assert result["prompt"] == f"{result['n']} for Ada"
    assert (settings.reads(), settings.writes()) == ({"name"}, {"topic", "n", "x", "who", "prompt"})


def test_draws_stay_in_range_reach_both_ends_and_repeat_with_the_seed() -> None:
    settings = settings_of(variables={"n": {"low": 1, "high": 3}, "x": {"low": -1.0, "high": 1}})
    drawn = columns_of(settings, 200)
    assert {row["n"] for row in drawn} == {1, 2, 3}
    assert all(-1 <= row["x"] <= 1 and isinstance(row["x"], float) for row in drawn)
    assert drawn == columns_of(settings, 200)


def test_weights_make_choices_more_or_less_likely() -> None:
    settings = settings_of(variables={"topic": {"choices": ["a", "b", "c"], "weights": [3, 1, 0]}})
    counts = Counter(row["topic"] for row in columns_of(settings, 400))
    assert counts["c"] == 0
    assert 250 < counts["a"] < 350


def test_a_product_gives_every_combination_once_a_cycle() -> None:
    settings = settings_of(
        variables={"a": {"choices": ["x", "y"]}, "b": {"low": 1, "high": 3}, "c": {"low": 0.0, "high": 1.0}},
        cover="product",
    )
    pairs = [(row["a"], row["b"]) for row in columns_of(settings, 12)]
    assert pairs == [("x", 1), ("x", 2), ("x", 3), ("y", 1), ("y", 2), ("y", 3)] * 2


def test_a_missing_column_is_named() -> None:
    settings = settings_of(variables={"who": {"column": "name"}})
    with pytest.raises(MissingColumn, match=r"'stage' reads the column 'name'.*known: nome"):
        made(settings, columns={"nome": "Ada"})


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ({}, "variables.v: give choices, or low and high, or column"),
        ({"choices": [1], "column": "a"}, "variables.v: give choices"),
        ({"low": 1}, "a range needs both low and high"),
        ({"low": 2, "high": 1}, "low = 2 is above high = 1"),
        ({"choices": [1, 2], "weights": [1]}, "one for each of the 2 choices"),
        ({"choices": [1], "weights": [0]}, "at least one must be above 0"),
        ({"low": 1, "high": 2, "weights": [1]}, "variables.v.weights"),
    ],
)
def test_a_variable_that_is_not_clear_is_refused(variable: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(variables={"v": variable})


def test_weights_and_product_exclude_each_other() -> None:
    with pytest.raises(ValueError, match=r"variables\.v\.weights: cover = 'product'"):
        settings_of(variables={"v": {"choices": [1, 2], "weights": [1, 2]}}, cover="product")


def test_a_broken_template_is_refused() -> None:
    with pytest.raises(ValueError, match="text: the prompt is no valid template"):
        settings_of(text="{% if %}")
