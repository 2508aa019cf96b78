"""Reasoning: how answers are found and compared, the vote, when no more is asked, and what useless models write."""

from __future__ import annotations

from typing import Any

import pytest
from asking import asking
from hypothesis import given
from hypothesis import strategies as st

from streamgen.engine.stage import Drop, Result
from streamgen.generate._answers import answer_in, before_answer, normal
from streamgen.generate.reasoning import ReasoningSettings, Wording, reasoning
from streamgen.llm.model import ChatRequest, Response
from streamgen.record import Record
from streamgen.testing import Answers, Scripted

RECORD = Record("0", {"q": "What is 6 x 7?", "known": "42"})


def settings(**more: Any) -> ReasoningSettings:
    made = ReasoningSettings(**{"model": "m", "question": "{{ q }}", **more})
    made.check()
    return made


async def solved(answers: Answers, record: Record = RECORD, **more: Any) -> tuple[Result, Scripted]:
    context, model = asking(settings(**more), answers)
    return await reasoning(record, context), model


def said(answer: str) -> str:
    return f"Six sevens.\nThat makes it.\nAnswer: {answer}"


async def test_steps_and_answer_become_columns_and_the_prompt_says_where_the_answer_stands() -> None:
    result, model = await solved([said("**42**.")])
    assert isinstance(result, Record)
    assert result.columns == {**RECORD.columns, "reasoning": "Six sevens.\nThat makes it.", "answer": "42"}
    assert result.meta.scores == {"stage": 1.0}
    (request,) = model.requests
    assert isinstance(request, ChatRequest)
    assert request.messages[-1].content.startswith("What is 6 x 7?\n\n")
    assert request.messages[-1].content.endswith("Answer:")


async def test_what_was_thought_before_the_answer_is_kept() -> None:
    result, _ = await solved([Response(said("42"), reasoning=" hm, sevens ")])
    assert isinstance(result, Record) and result["thinking"] == "hm, sevens"


async def test_the_answer_that_most_solutions_end_with_wins_whatever_it_looks_like() -> None:
    result, model = await solved([said("41"), said("42.0"), "I think so.", said("$42"), said("forty-two")], samples=5)
    assert isinstance(result, Record)
    assert result["answer"] == "42.0" and result.meta.scores == {"stage": pytest.approx(2 / 5)}
    assert len(model.requests) == 5


async def test_no_more_is_asked_once_the_vote_is_decided() -> None:
    result, model = await solved([said("42"), said("42"), said("42")], samples=5)
    assert isinstance(result, Record) and result.meta.scores == {"stage": 1.0}
    assert len(model.requests) == 3
    assert len((await solved([said("42"), said("41"), said("42"), said("42")], samples=5))[1].requests) == 4


async def test_a_vote_goes_on_until_its_agreement_is_certain() -> None:
    _, model = await solved([said("42")] * 4, samples=5, agreement=0.8)
    assert len(model.requests) == 4


@pytest.mark.parametrize(
    ("answers", "more", "reason"),
    [
        (["I like sevens."], {}, "no_answer"),
        ([""], {}, "no_answer"),
        (["I'm sorry, I can't help with that."], {}, "no_answer"),
        (["What is 6 x 7?"], {}, "no_answer"),
        (["Die Antwort ist 42."], {}, "no_answer"),
        (["[]"], {}, "no_answer"),
        (["Answer:"], {}, "no_answer"),
        ([Response("Six sevens are", "length")], {}, "truncated"),
        ([said("1"), said("2"), said("3")], {"samples": 3, "agreement": 0.5}, "no_agreement"),
        ([said("41")], {"expected": "known"}, "wrong_answer"),
    ],
)
async def test_useless_solutions_are_dropped_for_a_reason(answers: Answers, more: Any, reason: str) -> None:
    assert (await solved(answers, **more))[0] == Drop(reason)


@pytest.mark.parametrize("expected", ["42", 42, "42.00", " 42 "])
async def test_a_known_answer_is_compared_as_a_number(expected: Any) -> None:
    result, _ = await solved([said("42 apples")], RECORD.with_columns(known=expected), expected="known")
    assert isinstance(result, Record)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1,000", "1000"), ("0.5", "1/2"), ("$3.10", "3.1 dollars"), ("-7", "−7"), ("The Nile", "the nile.")],
)
def test_answers_that_mean_the_same_are_the_same(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(("one", "other"), [("50%", "50"), ("3 of 4", "3"), ("1/0", "1"), ("7", "-7"), ("a", "b")])
def test_answers_that_differ_are_told_apart(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@given(st.text(), st.text(min_size=1))
def test_any_text_has_an_answer_or_none(text: str, mark: str) -> None:
    found = answer_in(text, mark)
    assert found is None or found
    assert text.startswith(before_answer(text, mark))
    normal(text)


def test_huge_texts_cost_no_more_than_their_length() -> None:
    assert answer_in("1" * 1_000_000 + "Answer: " + "9," * 500_000, "Answer:") is not None
    normal("1,234" * 300_000)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"question": "{{ q "}, "question: "),
        ({"wording": Wording(ask="{{ column }}")}, "wording.ask: it inserts 'column'; there is mark, question"),
        ({"wording": Wording(mark=" ")}, "wording.mark: "),
        ({"answer": "reasoning"}, "three different columns"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(more: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings(**more)
