"""Grounded questions: the quote is looked up, the question answered again, and what models make up is dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asking import asking

from streamgen.engine.stage import Drop, Result
from streamgen.generate.grounded import GroundedSettings, Wording, f1, grounded
from streamgen.llm.model import ChatRequest, CompletionRequest
from streamgen.record import Record
from streamgen.testing import Answers, Scripted

PASSAGE = (
    "The tower was built in 1874 by Marta Lindqvist. It is 38 metres high. Nobody lives there today, since the\n"
    "light is electric."
)


def settings(**more: Any) -> GroundedSettings:
    made = GroundedSettings(**{"model": "m", **more})
    made.check()
    return made


async def asked(script: Answers, text: Any = PASSAGE, **more: Any) -> tuple[Result, Scripted]:
    context, model = asking(settings(**more), script)
    return await grounded(Record("0", {"text": text}), context), model


def said(
    question: str = "Who built the tower?",
    answer: str = "Marta Lindqvist",
    quote: str = "built in 1874 by Marta Lindqvist",
) -> str:
    return json.dumps({"question": question, "answer": answer, "quote": quote})


async def test_a_question_whose_answer_is_found_again_is_kept_with_its_quote() -> None:
    result, model = await asked([said(), "Marta Lindqvist built it"])
    assert isinstance(result, Record)
    assert {name: result[name] for name in ("question", "answer", "quote")} == json.loads(said())
    assert result.meta.scores == {"stage": pytest.approx(2 / 3, abs=1e-5)}
    again = model.requests[1]
    assert isinstance(again, ChatRequest) and again.temperature == 0.0
    assert "Who built the tower?" in again.messages[-1].content and PASSAGE in again.messages[-1].content


async def test_without_the_check_there_is_one_call() -> None:
    result, model = await asked([said()], answerable=0.0)
    assert isinstance(result, Record) and len(model.requests) == 1 and result.meta.scores == {}


async def test_white_space_case_and_quotation_marks_of_a_copy_do_not_matter() -> None:
    result, _ = await asked([said(quote="“nobody lives  there today, since the light”")], answerable=0.0)
    assert isinstance(result, Record)


async def test_the_sentence_that_holds_the_answer_stands_in_for_a_quote_that_was_made_up() -> None:
    result, _ = await asked([said("How high is it?", "38 metres", "it is very high")], answerable=0.0)
    assert isinstance(result, Record) and result["quote"] == "It is 38 metres high."


async def test_a_list_is_continued_where_that_is_wished() -> None:
    script = [" How high is the tower?\nAnswer: 38 metres\nQuestion: more", "38 metres"]
    result, model = await asked(script, method="completion")
    assert isinstance(result, Record)
    assert (result["question"], result["answer"]) == ("How high is the tower?", "38 metres")
    request = model.requests[0]
    assert isinstance(request, CompletionRequest) and request.prompt.endswith("electric.\nQuestion:")


@pytest.mark.parametrize(
    ("script", "more", "reason"),
    [
        (["no form at all", "again none"], {}, "malformed"),
        (["[]", "[]"], {}, "malformed"),
        ([" What?"], {"method": "completion"}, "malformed"),
        ([""], {"method": "completion"}, "malformed"),
        ([said(question="?")], {}, "no_question"),
        ([said(answer="")], {}, "no_question"),
        ([said(answer="Olof", quote="the first keeper was Olof")], {}, "not_in_passage"),
        ([said(quote="")], {"method": "structured", "answerable": 0.0, "longest": 3}, "long_quote"),
        ([said(quote=PASSAGE)], {}, "whole_passage"),
        ([said(), "unknown"], {}, "unanswerable"),
        ([said(), "I'm sorry, I can't help with that."], {}, "unanswerable"),
        ([said(), ""], {}, "unanswerable"),
    ],
)
async def test_what_the_passage_does_not_bear_is_dropped_for_a_reason(script: Answers, more: Any, reason: str) -> None:
    assert (await asked(script, **more))[0] == Drop(reason)


@pytest.mark.parametrize("text", ["", "one two", None, 7, "夜" * 3])
async def test_a_passage_of_a_few_words_costs_no_call(text: Any) -> None:
    result, model = await asked([], text)
    assert result == Drop("short_passage") and model.requests == []


def test_agreement_is_the_f1_of_words() -> None:
    assert f1("", "") == 0.0 and f1("a b", "a b") == 1.0 and f1("a a", "a") == pytest.approx(2 / 3, abs=1e-6)


def test_prompts_that_cannot_be_right_are_refused() -> None:
    with pytest.raises(ValueError, match=r"wording\.again: it inserts 'answer'; there is passage, question"):
        settings(wording=Wording(again="{{ answer }}"))
