from __future__ import annotations

import json
from pathlib import Path

import pytest
from asking import asking

from streamgen.engine.stage import Drop, Memory
from streamgen.errors import RecipeError
from streamgen.generate._instances import Instance, read_instances
from streamgen.generate._instructions import first_instruction
from streamgen.generate._seed_tasks import read_seeds
from streamgen.generate._self_instruct_prompts import Wording
from streamgen.generate.self_instruct import SelfInstruct, SelfInstructSettings
from streamgen.llm.model import CompletionRequest, Response
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Meta, Record
from streamgen.testing import prompt_of

SEEDS = [
    f"Do the seed task number {word} properly"
    for word in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
]
NEW = "Name five rivers that flow through Austria"


def settings_of(seeds: str, **fields: object) -> SelfInstructSettings:
    """Two calls an instruction, unless the fields say otherwise."""
    settings = SelfInstructSettings(**{"model": "m", "seeds": seeds, "order": "input_first", **fields})  # type: ignore[arg-type]
    settings.check()
    return settings


@pytest.fixture
def seeds(tmp_path: Path) -> str:
    path = tmp_path / "seeds.jsonl"
    rows = [{"instruction": text, "instances": [{"input": "", "output": f"out {i}"}]} for i, text in enumerate(SEEDS)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return str(path)


async def test_a_new_task_with_input_and_output(seeds: str) -> None:
    settings = settings_of(seeds, temperature=0.7)
    context, model = asking(settings, [f"10. {NEW}.\n11. Another task", "Input: (none)\nOutput: Danube, Inn"])
    result = await SelfInstruct(settings)(Record("0"), context)
    assert result == Record("0", {"instruction": f"{NEW}.", "input": "", "output": "Danube, Inn"})
    assert [request.temperature for request in model.requests] == [0.7, 0.7]
    assert sum(seed in prompt_of(model.requests[0]) for seed in SEEDS) == 8
    assert sum(seed in prompt_of(model.requests[1]) for seed in SEEDS) == 3


FORM = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}


async def test_the_properties_of_a_schema_become_columns_beside_the_instruction(seeds: str) -> None:
    settings = settings_of(seeds, schema=FORM)
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
    settings = settings_of(seeds, method="completion")
    context, model = asking(settings, [f" {NEW}\n", " the Alps\nOutput: Inn\n\nTask: more"])
    result = await SelfInstruct(settings)(Record("0"), context)
    assert result == Record("0", {"instruction": NEW, "input": "the Alps", "output": "Inn"})
    first, second = model.requests
    assert isinstance(first, CompletionRequest)
    assert first.prompt.endswith("\n9.")
    assert first.stop == ("\n",)
    assert prompt_of(second).endswith(f"Task: {NEW}\nInput:")


async def test_accepted_instructions_stand_in_later_prompts_also_after_a_restore(seeds: str) -> None:
    settings = settings_of(seeds)
    stage = SelfInstruct(settings)
    stage.recall([Memory(NEW.encode())])
    context, model = asking(settings, [NEW])
    assert await stage(Record("2"), context) == Drop("not_novel")
    shown = prompt_of(model.requests[0])
    assert NEW in shown
    assert sum(seed in shown for seed in SEEDS) == 7


async def test_a_ticket_that_comes_again_after_a_restore_is_no_copy_of_itself(seeds: str) -> None:
    settings = settings_of(seeds)
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
        ("I'm sorry, but I cannot write tasks.", "refusal"),
        ("Élabore un plan de voyage pour moi", "non_english"),
        ("说出五条河流的名字吧", "non_english"),
        ("Go to the river and count its fish", "banned"),
        ("word " * 151, "too_long"),
        ("Draw the rivers of Austria for me", "banned"),
        ("Look at the pictures below and sum up", "banned"),
        ("Write a program that counts rivers", "banned"),
        ("!Name five rivers of Austria", "punctuation"),
        (SEEDS[0].upper(), "not_novel"),
        ("Do the seed task number ten properly", "not_novel"),
        ("", "empty"),
        ("10.\n11.\n12.", "empty"),
        ("- - -\n\n", "empty"),
        (Response(NEW, finish_reason="length"), "truncated"),
    ],
)
async def test_instructions_that_break_a_rule_are_dropped_after_one_call(
    seeds: str, answer: str | Response, reason: str
) -> None:
    settings = settings_of(seeds)
    context, model = asking(settings, [answer])
    assert await SelfInstruct(settings)(Record("0"), context) == Drop(reason)
    assert len(model.requests) == 1


async def test_the_same_seed_and_pool_give_the_same_prompt_and_other_tickets_another(seeds: str) -> None:
    settings = settings_of(seeds)
    prompts = []
    for ticket in (1, 1, 2):
        context, model = asking(settings, [""], ticket=ticket)
        await SelfInstruct(settings)(Record("0"), context)
        prompts.append(prompt_of(model.requests[0]))
    assert prompts[0] == prompts[1] != prompts[2]


async def test_an_answer_without_text_is_a_drop_and_no_failure(seeds: str) -> None:
    settings = settings_of(seeds)
    context, _ = asking(settings, [CallError(Kind.EMPTY, "no text")])
    assert await SelfInstruct(settings)(Record("0"), context) == Drop("empty")


LABELLED = [
    {"instruction": "Is this mail spam?", "input": "Win now", "output": "Spam", "is_classification": True},
    {"instruction": "Which season is it?", "input": "Snow", "output": "Winter", "is_classification": True},
    {"instruction": "Translate it into German.", "input": "dog", "output": "Hund", "is_classification": False},
    {"instruction": "Write a poem on rain.", "output": "Drip, drop", "is_classification": False},
]
MOOD = "Tell the mood of the given sentence"


@pytest.fixture
def labelled_seeds(tmp_path: Path) -> str:
    path = tmp_path / "labelled.jsonl"
    path.write_text("\n".join(map(json.dumps, LABELLED)))
    return str(path)


async def test_a_classification_task_gets_its_label_first(labelled_seeds: str) -> None:
    settings = settings_of(labelled_seeds, order="by_kind", instances=5)
    context, model = asking(settings, [MOOD, "Yes.", "Label: happy\nInput: What a day!"])
    result = await SelfInstruct(settings)(Record("0", {"a": 1}), context)
    assert result == Record(
        "0",
        {"a": 1, "instruction": MOOD, "input": "What a day!", "output": "happy"},
        Meta(verdicts={"stage": "classification"}),
    )
    kind, instance = map(prompt_of, model.requests[1:])
    assert kind.count("Classification: yes") == kind.count("Classification: no") == 2
    assert model.requests[1].max_tokens == 8
    assert "Label: Spam\nInput: Win now" in instance
    assert instance.count("Task: ") == 3  # both of classification, and the new one


@pytest.mark.parametrize("answer", ["No", "nope", "Die Antwort ist ja", "", "It is hard to say: yes"])
async def test_any_answer_but_yes_means_no_and_the_input_comes_first(labelled_seeds: str, answer: str) -> None:
    settings = settings_of(labelled_seeds, order="by_kind", method="completion", instances=5)
    context, model = asking(settings, [NEW, answer, " (none)\nOutput: Inn"])
    result = await SelfInstruct(settings)(Record("0"), context)
    assert isinstance(result, Record)
    assert (result["output"], result.meta.verdicts) == ("Inn", {"stage": "generation"})
    instance = prompt_of(model.requests[2])
    assert "Input: dog\nOutput: Hund" in instance
    assert "Spam" not in instance


async def test_seeds_that_do_not_tell_their_kind_are_no_examples_of_one(seeds: str) -> None:
    settings = settings_of(seeds, order="by_kind")
    context, model = asking(settings, [NEW, "yes", "Label: a\nInput: b"])
    result = await SelfInstruct(settings)(Record("0"), context)
    assert isinstance(result, Record)
    assert "Classification: " not in prompt_of(model.requests[1])
    assert prompt_of(model.requests[2]).count("Task: ") == 4  # any seeds, where none is of classification


async def test_several_instances_become_records_and_no_more_than_wished(labelled_seeds: str) -> None:
    settings = settings_of(labelled_seeds, order="output_first", most_instances=2)
    context, _ = asking(
        settings, [MOOD, "Label: a\nInput: 1\nLabel: b\nInput: 2\nLabel: c\nInput: 3\nLabel: d\nInput: d"]
    )
    result = await SelfInstruct(settings)(Record("0"), context)
    assert isinstance(result, list)
    pairs = {(record["input"], record["output"]) for record in result}
    assert len(pairs) == 2
    assert pairs < {("1", "a"), ("2", "b"), ("3", "c")}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Rain is falling.", "malformed"),
        ("", "malformed"),
        ("Input: dog\nOutput: Hund", "echo"),
        ("Input: dog\nOutput: I'm sorry, I cannot help with that.", "refusal"),
        ("Input: a\nOutput:", "no_output"),
        ("Input: a\nOutput: (none)", "no_output"),
        ("Input: same\nOutput: same", "output_is_input"),
        ("Input: a\nOutput: as follows:", "unfinished"),
        ("Input: a\nOutput: b\nInput: a\nOutput: c", "contradictory"),
        (Response("Input: a\nOutput: b and", finish_reason="length"), "truncated"),
    ],
)
async def test_an_instance_that_breaks_a_rule_is_dropped_with_its_reason(
    labelled_seeds: str, answer: str | Response, reason: str
) -> None:
    settings = settings_of(labelled_seeds, instances=5)
    context, model = asking(settings, [NEW, answer])
    assert await SelfInstruct(settings)(Record("0"), context) == Drop(reason)
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Input: a\nb\nOutput: c\nd", [("a\nb", "c\nd")]),
        (" a\nOutput: b", [("a", "b")]),
        ("Sure!\n\nInput: a\nOutput: b", [("a", "b")]),
        ("Input: <noinput>\nOutput: b", [("", "b")]),
        ("input: None.\noutput: b\nTask: next\nOutput: z", [("", "b")]),
        ("Output: b", [("", "b")]),
        ("**Input 1:** a\n**Output 1:** b\nInput 2: c\nOutput 2: d", [("a", "b"), ("c", "d")]),
        ("Input: a\nOutput: b\nInput: a\nOutput: b", [("a", "b")]),
        ("Input: a\nOutput: b\nInput: c", [("a", "b")]),
    ],
)
def test_instances_with_the_input_first(text: str, found: list[tuple[str, str]]) -> None:
    assert read_instances(text, output_first=False, begun=False, cut=False).instances == found


@pytest.mark.parametrize(
    ("text", "begun", "found"),
    [
        ("Label: a\nInput: b\nLabel: c\nInput: d", False, [("b", "a"), ("d", "c")]),
        (" a\nInput: b\nLabel: c\n", True, [("b", "a"), ("", "c")]),
        (" a\nLabel: c\n", True, [("", "a"), ("", "c")]),
        ("Class label: a\nSentence: b", False, [("Sentence: b", "a")]),
        (" Montreal", True, [("", "Montreal")]),
        ("Montreal", False, []),
        ("Of course.\nLabel: a\nInput: (none)", False, [("", "a")]),
    ],
)
def test_instances_with_the_output_first(text: str, begun: bool, found: list[tuple[str, str]]) -> None:
    assert read_instances(text, output_first=True, begun=begun, cut=False).instances == found


def test_the_last_of_several_instances_is_left_where_it_was_cut() -> None:
    text = "Input: a\nOutput: b\nInput: c\nOutput: d and"
    assert read_instances(text, output_first=False, begun=False, cut=True).instances == [Instance("a", "b")]


@pytest.mark.parametrize("text", ["Input: " * 200_000, "\n" * 1_000_000, "Output:\n" * 100_000, "х" * 10_000_000])
def test_huge_answers_are_read_in_linear_time(text: str) -> None:
    assert read_instances(text, output_first=False, begun=False, cut=False).instances == []


@pytest.mark.parametrize("name", ["new", "kind_list", "structured"])
def test_a_prompt_of_the_user_is_checked(seeds: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^wording.{name}: it inserts 'task'"):
        settings_of(seeds, wording=Wording(**{name: "{{ task }}"}))


def test_output_first_needs_seeds_of_classification(seeds: str) -> None:
    with pytest.raises(ValueError, match=r'^order: "output_first" needs seeds'):
        settings_of(seeds, order="output_first")


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
        ('{"instruction": "x", "instances": []}', "line 1 lacks an output"),
        ('{"instruction": " ", "output": "x"}', "line 1 lacks an instruction"),
        ('{"instruction": "x", "output": 1}', "line 1 is no seed task"),
        ("", "holds no seeds"),
    ],
)
def test_seeds_that_cannot_be_used_are_named_by_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(line)
    with pytest.raises(RecipeError, match=message):
        read_seeds(str(path))


def test_a_missing_seed_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^seeds: .*seeds.jsonl cannot be read: No such file"):
        SelfInstructSettings(model="m", seeds=str(tmp_path / "seeds.jsonl")).check()
