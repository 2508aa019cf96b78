from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from asking import asking

from streamgen.engine.stage import Drop
from streamgen.errors import MissingColumn
from streamgen.generate.backtranslate import BacktranslateSettings, backtranslate, bare
from streamgen.llm.model import ChatRequest, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Meta, Record
from streamgen.testing import Answer, prompt_of

TEXT = (
    "Bread rises because yeast eats the sugar in the flour and gives off a gas. The gas makes bubbles, which the "
    "dough holds together as it is baked."
)
RECORD = Record("0", {"text": TEXT, "other": 1}, Meta(verdicts={"a": "b"}))
INSTRUCTION = "Explain why bread rises."
SEEDS = (
    '{"instruction": "Name a river.", "output": "The Rhine."}\n'
    '{"instruction": "Translate.", "input": "Fluss", "output": "river"}\n'
)


def settings_of(**fields: object) -> BacktranslateSettings:
    return msgspec.convert({"model": "m", **fields}, BacktranslateSettings)


def graded(score: int) -> str:
    return f'{{"reason": " It says why. ", "score": {score}}}'


async def test_a_text_gets_the_instruction_that_it_answers_and_a_grade() -> None:
    context, model = asking(settings_of(temperature=0.7), [f"Request: {INSTRUCTION}", graded(4)])
    result = await backtranslate(RECORD, context)
    assert isinstance(result, Record)
    assert result.columns == {"text": TEXT, "other": 1, "instruction": INSTRUCTION}
    assert (result.meta.scores, result.meta.verdicts) == ({"stage": 4.0}, {"a": "b", "stage": "It says why."})
    assert [TEXT in prompt_of(request) for request in model.requests] == [True, True]
    assert INSTRUCTION in prompt_of(model.requests[1])
    assert [request.temperature for request in model.requests] == [0.7, 0.0]


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([graded(3)], "low_score"),
        (["no idea", "no idea"], "unscored"),
        (["[]", "[]"], "unscored"),
        (['{"reason": "x", "score": 9}'] * 2, "unscored"),
        ([CallError(Kind.TRUNCATED, "cut")], "unscored"),
    ],
)
async def test_a_pair_is_kept_only_with_a_grade_that_is_good_enough(answers: list[Answer], reason: str) -> None:
    context, model = asking(settings_of(), [INSTRUCTION, *answers])
    assert await backtranslate(RECORD, context) == Drop(reason)
    assert len(model.requests) == 1 + len(answers)


async def test_a_judge_that_cannot_be_asked_fails_the_record() -> None:
    context, _ = asking(settings_of(), [INSTRUCTION, CallError(Kind.SERVER, "down")])
    with pytest.raises(CallError):
        await backtranslate(RECORD, context)


async def test_what_asks_for_nothing_can_be_dropped() -> None:
    remark = "This text is about bread, and it is clear."
    kept, _ = asking(settings_of(curate=False), [remark])
    assert isinstance(await backtranslate(RECORD, kept), Record)
    dropped, _ = asking(settings_of(curate=False, like_a_task=True), [remark, INSTRUCTION])
    assert await backtranslate(RECORD, dropped) == Drop("not_a_task")
    assert isinstance(await backtranslate(RECORD, dropped), Record)


async def test_without_curation_one_call_is_made() -> None:
    context, model = asking(settings_of(curate=False, instruction="prompt"), [INSTRUCTION])
    assert await backtranslate(RECORD, context) == RECORD.with_columns(prompt=INSTRUCTION)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no_content"),
        (CallError(Kind.EMPTY, "no text"), "no_content"),
        ("[]", "no_content"),
        ("I'm sorry, but I can't do that.", "refusal"),
        (TEXT, "echo"),
        ("Write the request that a user made to get this answer.", "leaked_prompt"),
        ("Почему поднимается хлеб?", "other_language"),
        ("why " * 50 + "bread " * 101, "long_instruction"),
        (Response("Explain why", finish_reason="length"), "truncated"),
    ],
)
async def test_an_instruction_that_is_none_drops_the_text_before_it_is_graded(answer: Answer, reason: str) -> None:
    context, model = asking(settings_of(), [answer])
    assert await backtranslate(RECORD, context) == Drop(reason)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (None, "empty"),
        (7, "too_short"),
        ("Bread rises.", "too_short"),
        ("word " * 2_000_000, "too_long"),
    ],
)
async def test_a_text_that_teaches_nothing_costs_nothing(text: object, reason: str) -> None:
    context, model = asking(settings_of(), [])
    assert await backtranslate(Record("0", {"text": text}), context) == Drop(reason)
    assert model.requests == []


async def test_a_missing_column_is_named() -> None:
    context, _ = asking(settings_of(column="body"), [])
    with pytest.raises(MissingColumn, match="'stage' reads the column 'body'"):
        await backtranslate(RECORD, context)


async def test_seed_tasks_without_an_input_are_shown_as_earlier_turns(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(SEEDS)
    context, model = asking(settings_of(curate=False, examples=str(path)), [INSTRUCTION])
    await backtranslate(RECORD, context)
    (request,) = model.requests
    assert isinstance(request, ChatRequest)
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "user"]
    assert "The Rhine." in request.messages[1].content
    assert request.messages[2].content == "Name a river."


async def test_the_words_can_be_replaced() -> None:
    wording = {"ask": "Question for: {{ text }}", "rubric": "Good?", "levels": {"5": "yes"}}
    context, model = asking(settings_of(wording=wording), [INSTRUCTION, graded(5)])
    assert isinstance(await backtranslate(RECORD, context), Record)
    assert prompt_of(model.requests[0]) == f"Question for: {TEXT}"
    assert prompt_of(model.requests[1]).startswith("Good?")
    assert "\n5: yes\n" in prompt_of(model.requests[1])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"wording": {"ask": "{{ txt }}"}}, r"^wording\.ask: it inserts 'txt'; there is text"),
        ({"wording": {"system": "{{ text }}"}}, r"^wording\.system: it inserts 'text'; there is nothing"),
        ({"wording": {"levels": {"6": "x"}}}, r"^wording\.levels: '6' is not on the scale"),
        ({"wording": {"judge": {"ask": "{{ txt }}"}}}, r"^wording\.ask: it inserts 'txt'"),
        ({"instruction": "text"}, "^instruction: the column 'text'"),
        ({"examples": "/nowhere.jsonl"}, "^examples: .*cannot be read"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(**fields).check()


def test_examples_that_all_have_an_input_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(SEEDS.splitlines()[1])
    with pytest.raises(ValueError, match=r"^examples: .*no seed without an input"):
        settings_of(examples=str(path)).check()


@pytest.mark.parametrize(
    "answer",
    [INSTRUCTION, f'"{INSTRUCTION}"', f"**Instruction:** {INSTRUCTION}", f"The user's request: {INSTRUCTION}",
     f"<request>\n{INSTRUCTION}\n</request>", f"User: {INSTRUCTION}"],
)  # fmt: skip
def test_labels_tags_and_quotes_are_taken_off(answer: str) -> None:
    assert bare(answer) == INSTRUCTION
