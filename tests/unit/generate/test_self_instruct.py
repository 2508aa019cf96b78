from __future__ import annotations

import json
from pathlib import Path

import pytest
from asking import asking

from streamgen.engine.stage import Drop, Memory
from streamgen.errors import RecipeError
from streamgen.generate.self_instruct import SelfInstruct, SelfInstructSettings, first_instruction, instance, read_tasks
from streamgen.llm.model import CompletionRequest, Response
from streamgen.record import Record
from streamgen.testing import prompt_of

SEEDS = [
    f"Do the seed task number {word} properly"
    for word in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
]
NEW = "Name five rivers that flow through Austria"


@pytest.fixture
def seeds(tmp_path: Path) -> str:
    path = tmp_path / "seeds.jsonl"
    rows = [{"instruction": text, "instances": [{"input": "", "output": f"out {i}"}]} for i, text in enumerate(SEEDS)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


async def test_a_new_task_with_input_and_output(seeds: str) -> None:
    settings = SelfInstructSettings(model="m", seeds=seeds, temperature=0.7)
    context, model = asking(settings, [f"10. {NEW}.\n11. Another task", "Input: (none)\nOutput: Danube, Inn"])
    result = await SelfInstruct(settings)(Record("0"), context)
    assert result == Record("0", {"instruction": f"{NEW}.", "input": "", "output": "Danube, Inn"})
    assert [request.temperature for request in model.requests] == [0.7, 0.7]
    assert sum(seed in prompt_of(model.requests[0]) for seed in SEEDS) == 8
    assert sum(seed in prompt_of(model.requests[1]) for seed in SEEDS) == 3


FORM = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}


async def test_the_properties_of_a_schema_become_columns_beside_the_instruction(seeds: str) -> None:
    settings = SelfInstructSettings(model="m", seeds=seeds, schema=FORM)
    settings.check()
    context, model = asking(settings, ["Sort a long list of words by their length", '{"code": "sorted()"}'])
    result = await SelfInstruct(settings)(Record("0"), context)
    assert isinstance(result, Record)
    assert result.columns == {"instruction": "Sort a long list of words by their length", "code": "sorted()"}
    assert settings.writes() == {"instruction", "code"}
    assert prompt_of(model.requests[1]).count("Task: ") == 4


@pytest.mark.parametrize("more", [{"method": "completion"}, {"schema": {"type": "array"}}])
def test_a_schema_goes_with_chat_and_is_of_an_object(seeds: str, more: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^schema: "):
        SelfInstructSettings(**{"model": "m", "seeds": seeds, "schema": FORM, **more}).check()  # type: ignore[arg-type]


async def test_the_completion_method_continues_lists(seeds: str) -> None:
    settings = SelfInstructSettings(model="m", seeds=seeds, method="completion")
    context, model = asking(settings, [f" {NEW}\n", " the Alps\nOutput: Inn\n\nTask: more"])
    result = await SelfInstruct(settings)(Record("0"), context)
    assert result == Record("0", {"instruction": NEW, "input": "the Alps", "output": "Inn"})
    first, second = model.requests
    assert isinstance(first, CompletionRequest)
    assert first.prompt.endswith("\n9.")
    assert first.stop == ("\n\n", "\n10.")
    assert prompt_of(second).endswith(f"Task: {NEW}\nInput:")


async def test_accepted_instructions_stand_in_later_prompts_also_after_a_restore(seeds: str) -> None:
    settings = SelfInstructSettings(model="m", seeds=seeds)
    stage = SelfInstruct(settings)
    stage.recall([Memory(NEW.encode())])
    context, model = asking(settings, [NEW])
    assert await stage(Record("2"), context) == Drop("not_novel")
    shown = prompt_of(model.requests[0])
    assert NEW in shown
    assert sum(seed in shown for seed in SEEDS) == 7


async def test_a_ticket_that_comes_again_after_a_restore_is_no_copy_of_itself(seeds: str) -> None:
    settings = SelfInstructSettings(model="m", seeds=seeds)
    stage = SelfInstruct(settings)
    stage.recall([Memory(NEW.encode(), "3")])
    again, _ = asking(settings, [NEW, "Output: Inn"], ticket=3)
    assert await stage(Record("3"), again) == Record("3", {"instruction": NEW, "input": "", "output": "Inn"})
    another, _ = asking(settings, [NEW], ticket=4)
    assert await stage(Record("4"), another) == Drop("not_novel")
    assert repr(stage) == "<SelfInstruct from 9 seeds, 1 made>"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Name rivers now", "too_short"),
        ("word " * 151, "too_long"),
        ("Draw the rivers of Austria for me", "banned"),
        ("Look at the pictures below and sum up", "banned"),
        ("Write a program that counts rivers", "banned"),
        ("!Name five rivers of Austria", "malformed"),
        (SEEDS[0].upper(), "not_novel"),
        ("Do the seed task number ten properly", "not_novel"),
        ("", "too_short"),
        (Response(NEW, finish_reason="length"), "truncated"),
    ],
)
async def test_instructions_that_break_a_rule_are_dropped_after_one_call(
    seeds: str, answer: str | Response, reason: str
) -> None:
    settings = SelfInstructSettings(model="m", seeds=seeds)
    context, model = asking(settings, [answer])
    assert await SelfInstruct(settings)(Record("0"), context) == Drop(reason)
    assert len(model.requests) == 1


async def test_the_same_seed_and_pool_give_the_same_prompt_and_other_tickets_another(seeds: str) -> None:
    settings = SelfInstructSettings(model="m", seeds=seeds)
    prompts = []
    for ticket in (1, 1, 2):
        context, model = asking(settings, [""], ticket=ticket)
        await SelfInstruct(settings)(Record("0"), context)
        prompts.append(prompt_of(model.requests[0]))
    assert prompts[0] == prompts[1] != prompts[2]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Input: a\nb\nOutput: c\nd", ("a\nb", "c\nd")),
        (" a\nOutput: b", ("a", "b")),
        ("Input: <noinput>\nOutput: b", ("", "b")),
        ("input: None.\noutput: b\nTask: next\nOutput: z", ("", "b")),
        ("Output: b", ("", "b")),
        ("Input: a\nOutput: b\n\nInput: c\nOutput: d", ("a", "b")),
    ],
)
def test_instances_are_read_in_their_usual_forms(text: str, found: tuple[str, str]) -> None:
    assert instance("t", text) == ("t", *found)


@pytest.mark.parametrize(
    "text", ["", "just an answer", "Input: a\nOutput:", "Input: a\nOutput: (none)", "Input: same\nOutput: same"]
)
def test_an_instance_without_an_output_of_its_own_is_malformed(text: str) -> None:
    assert instance("t", text) is None


@pytest.mark.parametrize(
    "text",
    [
        NEW,
        f"9. {NEW}",
        f"Task: {NEW}",
        f"**New task:** {NEW}",
        f"Sure, here it is:\n\n1. {NEW}\n2. More",
        f"  {NEW}\n\n",
    ],
)
def test_the_first_instruction_is_found_in_the_usual_forms(text: str) -> None:
    assert first_instruction(Response(text)) == NEW


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is no seed task"),
        ('{"text": "x"}', "line 1 is no seed task"),
        ('{"instruction": "x"}', "line 1 lacks an output"),
        ("", "holds no seeds"),
    ],
)
def test_seeds_that_cannot_be_used_are_named_by_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(line)
    with pytest.raises(RecipeError, match=message):
        read_tasks(str(path))


def test_a_missing_seed_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^seeds: .*seeds.jsonl cannot be read: No such file"):
        SelfInstructSettings(model="m", seeds=str(tmp_path / "seeds.jsonl")).check()
