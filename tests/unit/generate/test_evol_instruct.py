from __future__ import annotations

import pytest
from asking import asking

from streamgen.engine.stage import Drop
from streamgen.errors import MissingColumn
from streamgen.generate.evol_instruct import IN_DEPTH, EvolInstructSettings, bare, evol_instruct, evolving_prompt, fault
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
    assert await evol_instruct(RECORD, dropped) == Drop("not_evolved")
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
    prompts = {evolving_prompt(operation, "Use {braces}") for operation in (*IN_DEPTH, "breadth")}
    assert len(prompts) == 6
    assert all("Use {braces}" in prompt for prompt in prompts)


@pytest.mark.parametrize(
    ("evolved", "reason"),
    [
        ("NAME A RIVER.", "no_gain"),
        ("Rewrite the given prompt about rivers", "leaked_prompt"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI language model I do not know rivers", "refusal"),
        ("Is it the...?", "no_content"),
        ("", "no_content"),
        ("🙂", "no_content"),
        ("Explain sorry as a word. " + "river " * 80, None),
        ("Name a river and its source", None),
        ("说出一条河流", None),
    ],
)
def test_rules_of_elimination(evolved: str, reason: str | None) -> None:
    assert fault(evolved, "Name a river") == reason


def test_prompt_words_that_the_instruction_had_before_are_no_leak() -> None:
    assert fault("Sum up the given prompt in verse", "Sum up the given prompt") is None


@pytest.mark.parametrize(
    "text", ["Do it well", "New task: Do it well", "[NEW VERSION]\nDo it well", '"Do it well"', "**Task:** Do it well"]
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
