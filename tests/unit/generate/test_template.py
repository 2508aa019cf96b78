from __future__ import annotations

import sys
from collections import Counter
from statistics import fmean, pstdev, pvariance
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.context import Context
from streamgen.engine.stage import Result
from streamgen.errors import MissingColumn, MissingExtra
from streamgen.generate._person import _faker
from streamgen.generate._variables import poisson_at
from streamgen.generate.template import TemplateSettings, template
from streamgen.llm.prompt import PromptError
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
        ({}, "variables.v: give choices, or low and high, or mean"),
        ({"choices": [1], "column": "a"}, "variables.v: give choices"),
        ({"low": 1}, "a range needs both low and high"),
        ({"low": 2, "high": 1}, "low = 2 is above high = 1"),
        ({"choices": [1, 2], "weights": [1]}, "one for each of the 2 choices"),
        ({"choices": [1], "weights": [0]}, "at least one must be above 0"),
        ({"low": 1, "high": 2, "weights": [1]}, "variables.v.weights"),
        ({"low": "2024-02-01", "high": "2024-01-01"}, "low = 2024-02-01 is above high = 2024-01-01"),
        ({"low": "2024-02-01", "high": 3}, "both numbers or both dates"),
        ({"low": 0, "high": 2**53}, "has at most 9,007,199,254,740,992 of them"),
        ({"mean": 1.0}, "needs both mean and deviation"),
        ({"deviation": 1.0}, "variables.v: give choices"),
        ({"mean": 1.0, "deviation": 1.0, "poisson": 2.0}, "variables.v: give choices"),
        ({"mean": 1.0, "deviation": 1.0, "low": 3, "high": 2}, "low = 3 is above high = 2"),
        ({"given": "a"}, "needs both given and by"),
        ({"given": "a", "by": {"x": [1]}}, "'a' is no variable of choices above it; there is none"),
        ({"person": "xx_XX"}, "Faker has no locale 'xx_XX'"),
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


def numbers(name: str, tickets: int, **fields: Any) -> list[float]:
    return [row[name] for row in columns_of(settings_of(variables={name: fields}), tickets)]


def test_a_normal_distribution_has_its_mean_and_deviation_and_can_be_cut() -> None:
    drawn = numbers("x", 2000, mean=10.0, deviation=2.0)
    assert fmean(drawn) == pytest.approx(10.0, abs=0.2)
    assert pstdev(drawn) == pytest.approx(2.0, abs=0.15)
    cut = numbers("x", 500, mean=10.0, deviation=2.0, low=9, high=11)
    assert 9 <= min(cut) < 9.1
    assert 10.9 < max(cut) <= 11


@pytest.mark.parametrize("mean", [0.5, 4.0, 700.0])
def test_a_poisson_distribution_has_its_mean_and_as_much_variance(mean: float) -> None:
    drawn = numbers("n", 2000, poisson=mean)
    assert all(isinstance(count, int) and count >= 0 for count in drawn)
    assert fmean(drawn) == pytest.approx(mean, rel=0.08)
    assert pvariance(drawn) == pytest.approx(mean, rel=0.12)


def test_days_are_drawn_with_both_ends() -> None:
    drawn = [row["day"] for row in columns_of(settings_of(variables={"day": DAYS}), 200)]
    assert set(drawn) == {"2024-02-28", "2024-02-29", "2024-03-01"}


DAYS = {"low": "2024-02-28", "high": "2024-03-01"}
TREE = {
    "topic": {"choices": ["food", "sport"]},
    "kind": {"given": "topic", "by": {"food": ["bread", "soup"], "sport": ["chess"]}},
    "detail": {"given": "kind", "by": {"bread": [1], "soup": [2, 3], "chess": [4]}},
    "tone": {"choices": ["dry", "warm"]},
}


def test_a_conditional_variable_is_drawn_from_the_choices_of_its_parent() -> None:
    found = {(row["topic"], row["kind"]) for row in columns_of(settings_of(variables=TREE), 100)}
    assert found == {("food", "bread"), ("food", "soup"), ("sport", "chess")}


def test_a_product_walks_through_conditional_variables_within_their_parents() -> None:
    rows = columns_of(settings_of(variables=TREE, cover="product"), 16)
    found = [(row["kind"], row["detail"], row["tone"]) for row in rows]
    once = [
        (*pair, tone) for pair in (("bread", 1), ("soup", 2), ("soup", 3), ("chess", 4)) for tone in ("dry", "warm")
    ]
    assert found == once * 2


def test_a_value_without_choices_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match=r"variables\.b\.by: it lacks '2', which 'a' may be"):
        settings_of(variables={"a": {"low": 1, "high": 2}, "b": {"given": "a", "by": {"1": ["x"]}}})


def test_a_latin_hypercube_has_one_value_in_each_stratum_of_each_variable() -> None:
    variables = {
        "x": {"low": 0.0, "high": 1.0},
        "n": {"low": 1, "high": 5},
        "c": {"choices": ["a", "b"], "weights": [9, 1]},
    }
    settings = settings_of(variables=variables, cover="latin", strata=20)
    rows = columns_of(settings, 40)
    for block in (rows[:20], rows[20:]):
        assert sorted(int(row["x"] * 20) for row in block) == list(range(20))
        assert Counter(row["n"] for row in block) == dict.fromkeys(range(1, 6), 4)
        assert Counter(row["c"] for row in block) == {"a": 18, "b": 2}
    assert [row["x"] for row in rows[:20]] != [row["x"] for row in rows[20:]]
    assert rows == columns_of(settings, 40)


@given(st.floats(0.0, 1.0, exclude_max=True), st.floats(0.01, 1e6))
def test_a_share_of_a_poisson_distribution_is_a_count(share: float, mean: float) -> None:
    assert poisson_at(share, mean) >= 0


def test_a_person_is_the_same_for_the_same_ticket() -> None:
    settings = settings_of(variables={"who": {"person": "de_DE"}}, text="{{ who.name }}, {{ who.age }}")
    people = columns_of(settings, 5)
    assert people == columns_of(settings, 5)
    assert len({row["text"] for row in people}) == 5
    assert set(people[0]["who"]) == {"name", "age", "email", "job", "city"}
    assert all(18 <= row["who"]["age"] <= 90 for row in people)


def test_without_faker_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _faker.cache_clear()
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(MissingExtra, match=r"pip install 'streamgen-llm\[faker\]'"):
        settings_of(variables={"who": {"person": "en_US"}})


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10 ** 9 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)
def test_a_template_that_never_ends_fails_its_record(text: str) -> None:
    settings = settings_of(text=text)
    with pytest.raises(PromptError, match="the prompt"):
        made(settings)
