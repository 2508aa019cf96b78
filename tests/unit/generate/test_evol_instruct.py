from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from asking import asking

from streamgen.engine.stage import Drop
from streamgen.errors import MissingColumn
from streamgen.generate._evol_instruct_prompts import Operation, Wording, evolving_prompt, own_words
from streamgen.generate._evolution_faults import answer_fault, fault
from streamgen.generate.evol_instruct import EvolInstructSettings, bare, evol_instruct
from streamgen.llm.model import Response
from streamgen.record import Meta, Record
from streamgen.testing import prompt_of

RECORD = Record("0", {"instruction": "Name a river", "other": 1}, Meta(verdicts={"a": "b"}, scores={"s": 1.0}))


def settings_of(**fields: object) -> EvolInstructSettings:
    return EvolInstructSettings(**{"model": "m", "operations": ("deepen",), "rounds": 2, **fields})


async def test_each_round_starts_from_the_last_instruction_that_succeeded() -> None:
    context, model = asking(settings_of(rounds=3), ["Name two rivers", "Sorry, no.", "New version: Name three rivers"])
    result = await evol_instruct(RECORD, context)
    assert isinstance(result, Record)
    assert result.columns == {"instruction": "Name three rivers", "other": 1}
    assert result.meta.verdicts == {"a": "b", "stage": "deepen, deepen (refusal), deepen"}
    assert result.meta.scores == {"s": 1.0}
    assert [
        "Name a river" in prompt_of(model.requests[0]),
        *("Name two rivers" in prompt_of(r) for r in model.requests[1:]),
    ] == [True] * 3


async def test_when_every_round_fails_the_record_is_dropped_or_kept() -> None:
    answers = ["name a river!", Response("Name ten", finish_reason="length")]
    dropped, _ = asking(settings_of(), answers)
    assert await evol_instruct(RECORD, dropped) == Drop("no_gain")
    kept, _ = asking(settings_of(failed="keep"), answers)
    result = await evol_instruct(RECORD, kept)
    assert isinstance(result, Record)
    assert result.columns == RECORD.columns
    assert result.meta.verdicts["stage"] == "deepen (no_gain), deepen (truncated)"


async def test_an_answer_is_asked_for_and_a_refused_one_eliminates_the_round() -> None:
    settings = settings_of(answer="output", rounds=2)
    context, model = asking(settings, ["Name two rivers", " Inn, Enns ", "Name a bomb", "I'm sorry."])
    result = await evol_instruct(RECORD, context)
    assert isinstance(result, Record)
    assert result.columns == {"instruction": "Name two rivers", "other": 1, "output": "Inn, Enns"}
    assert prompt_of(model.requests[1]) == "Name two rivers"
    assert settings.writes() == {"output"}


async def test_an_answer_can_be_structured_and_one_that_does_not_fit_eliminates_the_round() -> None:
    settings = settings_of(answer="output", schema={"type": "array", "items": {"type": "string"}})
    context, _ = asking(settings, ["Name two rivers", '["Inn", "Enns"]', "Name three rivers", "Rhine", "Rhine!"])
    result = await evol_instruct(RECORD, context)
    assert isinstance(result, Record)
    assert result.columns == {"instruction": "Name two rivers", "other": 1, "output": ["Inn", "Enns"]}
    assert result.meta.verdicts["stage"] == "deepen, deepen (unfit)"


@pytest.mark.parametrize("field", [{"schema": {}}, {"schema": {"type": "x"}, "answer": "output"}])
def test_a_schema_needs_an_answer_and_has_to_be_one(field: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^schema: "):
        settings_of(**field).check()


async def test_a_judge_eliminates_what_gains_nothing() -> None:
    context, _ = asking(settings_of(judge=True), ["Give me a river", "Same.", "Name two rivers", "Different"])
    result = await evol_instruct(RECORD, context)
    assert isinstance(result, Record)
    assert result["instruction"] == "Name two rivers"
    assert result.meta.verdicts["stage"] == "deepen (no_gain), deepen"


async def test_operations_are_drawn_by_the_ticket() -> None:
    drawn = []
    for ticket in (1, 1, 2):
        context, model = asking(EvolInstructSettings(model="m", rounds=6, failed="keep"), [""] * 6, ticket=ticket)
        await evol_instruct(RECORD, context)
        drawn.append([prompt_of(request) for request in model.requests])
    assert drawn[0] == drawn[1] != drawn[2]


def test_every_operation_has_a_prompt_of_its_own_that_holds_the_instruction() -> None:
    prompts = {evolving_prompt(Wording(), operation, "Use {{ braces }}") for operation in get_args(Operation)}
    assert len(prompts) == 6
    assert all("Use {{ braces }}" in prompt for prompt in prompts)


def found(evolved: str, instruction: str = "Name a river", operation: Operation = "deepen") -> str | None:
    return fault(evolved, instruction, operation, own_words(Wording(), operation), settings_of())


@pytest.mark.parametrize(
    ("evolved", "reason"),
    [
        ("NAME A RIVER.", "no_gain"),
        ("Name you a river", "no_gain"),
        ("Rewrite the given prompt about rivers", "leaked_prompt"),
        ("Name a river. People must still understand it and be able to answer.", "leaked_prompt"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI language model I do not know rivers", "refusal"),
        ("Is it the...?", "no_content"),
        ("", "no_content"),
        ("🙂", "no_content"),
        ("Understood, which river shall I name?", "understood"),
        ("The river Inn is in Austria.", "not_a_task"),
        ("Danube", "not_a_task"),
        ("说出一条河流", "other_language"),
        ("Which river is long?\nAnswer: the Nile", "answered"),
        ("Name a river " + "and a lake " * 15, "repetitive"),
        ("Explain why rivers flow. " + " ".join(f"Then visit place{number}." for number in range(60)), "too_long"),
        ("Explain sorry as a word. " + " ".join(f"word{number}" for number in range(80)), "too_long"),
        ("Name a river and its source", None),
        ("Which river of Austria is the longest?", None),
        ("You are given two rivers. Compare them.", None),
    ],
)
def test_rules_of_elimination(evolved: str, reason: str | None) -> None:
    assert found(evolved) == reason


def test_input_data_may_be_long_and_another_task_may_keep_nothing() -> None:
    long = "Explain why rivers flow. " + " ".join(f"Then visit place{number}." for number in range(60))
    assert found(long, operation="complicate_input") is None
    facts = "Sum up these facts: Bill Gates, born 1955 in Seattle, founder of Microsoft, studied at Harvard University"
    assert found("Sum up the life of Grace Hopper.", facts) == "lost_information"
    assert found("Sum up the life of Grace Hopper.", facts, "breadth") is None


def test_what_asks_in_another_language_is_not_judged_by_english_forms() -> None:
    assert found("Nenne drei Flüsse in Tirol", "Nenne einen Fluss") is None


def test_an_instruction_in_another_script_is_evolved_in_it() -> None:
    assert found("说出三条河流和它们的源头", "说出一条河流") is None


def test_prompt_words_that_the_instruction_had_before_are_no_leak() -> None:
    assert found("Sum up the given prompt in verse", "Sum up the given prompt") is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Understood. What shall I do?", "stagnant"),
        ("Thank you for the task! Anything else?", "stagnant"),
        ("Sure, which river do you mean?", "unqualified"),
        ("Please provide the list of rivers.", "lost_information"),
        ("I'm sorry, I can't help with that.", "refusal"),
        ("", "no_content"),
        ("Understood. The Inn is a river.", None),
        ("Inn, Enns", None),
    ],
)
def test_answers_tell_of_instructions_that_cannot_be_answered(answer: str, reason: str | None) -> None:
    assert answer_fault(answer) == reason


PAIRS = [json.loads(line) for line in (Path(__file__).parent / "data/evolved.jsonl").read_text().splitlines()]


def reason_of(pair: dict[str, str]) -> str | None:
    if pair["finish_reason"] == "length":
        return "truncated"
    operation = next(known for known in get_args(Operation) if known == pair["operation"])
    return found(bare(pair["answer"]), pair["instruction"], operation)


@pytest.mark.parametrize("part", ["read_before", "read_after"])
def test_most_broken_evolutions_of_a_small_model_are_detected(part: str) -> None:
    broken = [pair for pair in PAIRS if pair["part"] == part and pair["label"] == "broken"]
    detected = [pair for pair in broken if reason_of(pair)]
    assert len(broken) >= 35
    assert len(detected) >= 0.95 * len(broken)


USABLE = [pair for pair in PAIRS if pair["label"] == "usable"]


@pytest.mark.parametrize("pair", USABLE, ids=[pair["answer"][:40] for pair in USABLE])
def test_usable_evolutions_pass(pair: dict[str, str]) -> None:
    assert reason_of(pair) is None


async def test_a_model_that_repeats_the_prompt_or_says_nothing_fails_its_rounds() -> None:
    context, model = asking(settings_of(rounds=2), [evolving_prompt(Wording(), "deepen", RECORD["instruction"]), ""])
    assert await evol_instruct(RECORD, context) == Drop("leaked_prompt")
    assert len(model.requests) == 2


async def test_a_prompt_of_the_user_is_sent_and_its_words_must_not_come_back() -> None:
    wording = Wording(rewrite="{{ how }} So sprach der kluge Meister zu uns: {{ instruction }}")
    context, model = asking(settings_of(wording=wording, rounds=1), ["Name it, so sprach der kluge Meister zu uns"])
    assert await evol_instruct(RECORD, context) == Drop("leaked_prompt")
    assert prompt_of(model.requests[0]).endswith("zu uns: Name a river")
    with pytest.raises(ValueError, match=r"^wording.judge: it inserts 'first'"):
        settings_of(wording=Wording(judge="{{ first }}")).check()


@pytest.mark.parametrize(
    "text",
    [
        "Do it well",
        "New task: Do it well",
        "[NEW VERSION]\nDo it well",
        "[TASK]\nDo it well\n\n[NEW VERSION]",
        '"Do it well"',
        "**Task:** Do it well",
    ],
)
def test_labels_and_quotes_are_taken_off(text: str) -> None:
    assert bare(text) == "Do it well"


async def test_an_empty_instruction_is_dropped_and_a_missing_one_named() -> None:
    context, model = asking(settings_of(), [])
    assert await evol_instruct(Record("0", {"instruction": " "}), context) == Drop("empty")
    with pytest.raises(MissingColumn, match="'stage' reads the column 'instruction'"):
        await evol_instruct(Record("0", {"text": "x"}), context)
    assert model.requests == []


def test_the_answer_needs_a_column_of_its_own() -> None:
    with pytest.raises(ValueError, match="answer: the column 'instruction'"):
        settings_of(answer="instruction").check()
