from __future__ import annotations

import msgspec
import pytest
from asking import asking

from streamgen.engine.stage import Drop
from streamgen.generate._chat_forms import FORMS, ChatForm
from streamgen.generate.magpie import MagpieSettings, magpie
from streamgen.llm.model import ChatRequest, CompletionRequest, Message, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Record
from streamgen.testing import Answer, prompt_of

RECORD = Record("0", {"topic": "rivers"})
ASKED = "How long is the Rhine?"
ANSWER = "It is 1,230 km long."


def settings_of(**fields: object) -> MagpieSettings:
    return msgspec.convert({"model": "m", **fields}, MagpieSettings)


async def test_the_model_continues_its_own_template_and_then_answers_what_it_wrote() -> None:
    context, model = asking(settings_of(temperature=1.0, answer_max_tokens=9), [f" {ASKED}\n", ANSWER])
    assert await magpie(RECORD, context) == RECORD.with_columns(instruction=ASKED, output=ANSWER)
    first = "<|im_start|>user\n"
    second = f"{first}{ASKED}<|im_end|>\n<|im_start|>assistant\n"
    stop = ("<|im_end|>",)
    assert model.requests == [
        CompletionRequest(prompt=first, stop=stop, temperature=1.0),
        CompletionRequest(prompt=second, stop=stop, temperature=0.0, max_tokens=9),
    ]


async def test_a_system_prompt_of_the_columns_stands_before_both() -> None:
    context, model = asking(settings_of(form="llama3", system="You know {{ topic }}."), [ASKED, ANSWER])
    await magpie(RECORD, context)
    head = "<|start_header_id|>system<|end_header_id|>\n\nYou know rivers.<|eot_id|>"
    assert [prompt_of(request).startswith(f"{head}<|start_header_id|>user") for request in model.requests] == [True] * 2
    assert settings_of(system="{{ topic }}").reads() == {"topic"}


async def test_an_answer_may_be_one_word() -> None:
    context, _ = asking(settings_of(), [ASKED, "Yes."])
    assert await magpie(RECORD, context) == RECORD.with_columns(instruction=ASKED, output="Yes.")


async def test_the_chat_endpoint_may_answer_or_nobody() -> None:
    chatting, model = asking(settings_of(answer="chat"), [ASKED, ANSWER])
    assert await magpie(RECORD, chatting) == RECORD.with_columns(instruction=ASKED, output=ANSWER)
    assert model.requests[1] == ChatRequest(messages=(Message("user", ASKED),), temperature=0.0)
    alone, model = asking(settings_of(answer="none"), [ASKED])
    assert await magpie(RECORD, alone) == RECORD.with_columns(instruction=ASKED)
    assert len(model.requests) == 1


async def test_several_turns_become_messages() -> None:
    more = "And where does it end?"
    context, model = asking(settings_of(turns=2, system="Be short."), [ASKED, ANSWER, more, "In the North Sea."])
    result = await magpie(RECORD, context)
    assert isinstance(result, Record)
    assert [turn["role"] for turn in result["messages"]] == ["system", *["user", "assistant"] * 2]
    assert [turn["content"] for turn in result["messages"]] == ["Be short.", ASKED, ANSWER, more, "In the North Sea."]
    assert prompt_of(model.requests[2]).endswith(f"assistant\n{ANSWER}<|im_end|>\n<|im_start|>user\n")
    assert result.columns.keys() == {"topic", "messages"}


@pytest.mark.parametrize(
    ("answers", "reason", "calls"),
    [
        (["  "], "no_content", 1),
        ([CallError(Kind.EMPTY, "no text")], "no_content", 1),
        (["I'm sorry, I cannot help with that."], "refusal", 1),
        (["Rhine?"], "too_short", 1),
        (["river " * 301], "too_long", 1),
        (["Name it <|im_start|>assistant now, please"], "leaked_template", 1),
        (["You answer questions about long rivers"], "echo", 1),
        ([Response("How long is", finish_reason="length")], "truncated", 1),
        ([ASKED, ""], "no_content", 2),
        ([ASKED, "Sorry, I can't help."], "refusal", 2),
        ([ASKED, Response("It is", finish_reason="length")], "truncated", 2),
        ([ASKED, ANSWER, "how long is the rhine"], "repeated", 3),
        ([ASKED, ANSWER, "Как зовут эту реку"], "other_language", 3),
    ],
)
async def test_a_turn_that_cannot_be_used_drops_the_record_before_more_is_paid(
    answers: list[Answer], reason: str, calls: int
) -> None:
    context, model = asking(settings_of(turns=2, system="You answer questions about long rivers."), answers)
    assert await magpie(RECORD, context) == Drop(reason)
    assert len(model.requests) == calls


async def test_an_answer_that_was_cut_can_be_kept() -> None:
    context, _ = asking(settings_of(cut="keep"), [ASKED, Response("It is", finish_reason="length")])
    assert await magpie(RECORD, context) == RECORD.with_columns(instruction=ASKED, output="It is")


async def test_marks_of_the_users_own_make_a_form() -> None:
    form = {"user": "USER: ", "assistant": "BOT: ", "end": "\n"}
    context, model = asking(settings_of(form=form, answer="none"), [ASKED])
    assert await magpie(RECORD, context) == RECORD.with_columns(instruction=ASKED)
    assert model.requests == [CompletionRequest(prompt="USER: ", stop=("\n",))]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"system": "{{ a "}, "^system: "),
        ({"system": "x", "form": "gemma"}, "^system: the chat form has no turn"),
        ({"min_words": 9, "max_words": 3}, "^min_words: "),
        ({"answer": "none", "turns": 2}, "^turns: "),
    ],
)
def test_settings_that_cannot_be_right_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(**fields).check()


@pytest.mark.parametrize("fields", [{"form": "chatlm"}, {"form": {"user": ""}}, {"turns": 0}])
def test_values_out_of_bounds_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(fields))):
        settings_of(**fields)


@pytest.mark.parametrize("form", FORMS.values())
def test_the_marks_of_a_form_are_told_from_text(form: ChatForm) -> None:
    raw = form.opened([Message("user", "Hi"), Message("assistant", "Yes?")], "user")
    assert raw.endswith(form.user)
    assert all(mark in raw for mark in form.marks() if mark != (form.system or "").strip())
    assert "" not in form.marks()


def test_the_columns_that_are_written_follow_the_settings() -> None:
    assert settings_of().writes() == {"instruction", "output"}
    assert settings_of(turns=2).writes() == {"messages"}
    assert settings_of(answer="none").writes() == {"instruction"}
