from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from asking import asking

from streamgen.engine.stage import Drop
from streamgen.errors import ModelError, RecipeError, StreamgenError
from streamgen.generate.chat import ChatSettings, chat
from streamgen.llm.model import ChatRequest, Message, Response
from streamgen.recipe import Recipe
from streamgen.record import Record, Value

RECORD = Record("0", {"name": "Ada", "n": 3})


async def test_the_answer_goes_into_the_column_and_nothing_else_changes() -> None:
    context, model = asking(ChatSettings(model="m", prompt="Hi {{ name }} x{{ n }}", output="answer"), ["  Hello.\n"])
    assert await chat(RECORD, context) == RECORD.with_columns(answer="Hello.")
    assert model.requests == [ChatRequest(messages=(Message("user", "Hi Ada x3"),))]


async def test_system_prompt_and_sampling_are_sent() -> None:
    settings = ChatSettings(
        model="m", prompt="p", system="You are {{ name }}.", temperature=0.5, top_p=0.9, stop=("END",), extra={"a": 1}
    )
    context, model = asking(settings, ["x"])
    await chat(RECORD, context)
    messages = (Message("system", "You are Ada."), Message("user", "p"))
    assert model.requests == [ChatRequest(messages=messages, temperature=0.5, top_p=0.9, stop=("END",), extra={"a": 1})]


async def test_a_seed_by_ticket_differs_by_ticket_and_is_the_same_in_each_run() -> None:
    seeds = []
    for ticket in (1, 2, 1):
        context, model = asking(ChatSettings(model="m", prompt="p", seed="ticket"), ["x"], ticket=ticket)
        await chat(RECORD, context)
        seeds.append(model.requests[0].seed)
    assert seeds[0] == seeds[2] != seeds[1]


@pytest.mark.parametrize("answer", ["", "  \n\t "])
async def test_an_empty_answer_is_dropped(answer: str) -> None:
    context, _ = asking(ChatSettings(model="m", prompt="p"), [answer])
    assert await chat(RECORD, context) == Drop("empty")


async def test_a_truncated_answer_is_kept_or_dropped() -> None:
    answer = Response("half a sen", finish_reason="length")
    kept, _ = asking(ChatSettings(model="m", prompt="p"), [answer])
    assert await chat(RECORD, kept) == RECORD.with_columns(output="half a sen")
    dropped, _ = asking(ChatSettings(model="m", prompt="p", truncated="drop"), [answer])
    assert await chat(RECORD, dropped) == Drop("truncated")


AGE: dict[str, Value] = {
    "type": "object",
    "properties": {"age": {"type": "integer"}},
    "required": ["age"],
    "additionalProperties": False,
}


async def test_structured_output_is_parsed_and_must_fit() -> None:
    settings = ChatSettings(model="m", prompt="p", schema=AGE)
    context, model = asking(settings, ['```json\n{"age": 36}\n```', '{"age": "old"}', '{"age": "very old"}'])
    assert await chat(RECORD, context) == RECORD.with_columns(output={"age": 36})
    assert isinstance(model.requests[0], ChatRequest)
    assert model.requests[0].schema == AGE
    with pytest.raises(ModelError, match=r"does not fit the schema: \$\.age: expected integer"):
        await chat(RECORD, context)


async def test_properties_can_become_columns_of_their_own() -> None:
    settings = ChatSettings(model="m", prompt="p", schema=AGE, spread=True)
    context, _ = asking(settings, ['{"age": 36}'])
    assert await chat(RECORD, context) == RECORD.with_columns(age=36)
    assert settings.writes() == {"age"}


@pytest.mark.parametrize("schema", [None, {"type": "array"}, {"properties": {"age": {}}}])
def test_only_objects_can_be_spread(schema: dict[str, Value] | None) -> None:
    with pytest.raises(ValueError, match=r"^spread: .*properties"):
        ChatSettings(model="m", prompt="p", schema=schema, spread=True).check()


async def test_a_struct_is_a_schema() -> None:
    class Person(msgspec.Struct):
        age: int
        tags: list[str] = []

    context, _ = asking(ChatSettings(model="m", prompt="p", schema=Person), ['{"age": 36, "other": 1}'])
    assert await chat(RECORD, context) == RECORD.with_columns(output={"age": 36, "tags": []})


async def test_a_schema_can_stand_in_a_file_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "age.json").write_bytes(msgspec.json.encode(AGE))
    stage = {"name": "a", "type": "chat", "model": "m", "prompt": "p", "schema": "age.json"}
    models = {"m": {"base_url": "http://127.0.0.1:1/v1", "model": "x"}}
    recipe = Recipe.parse({"models": models, "stages": [stage], "run": {"accept": 1}}, tmp_path)
    settings = recipe.stages[0].settings
    assert isinstance(settings, ChatSettings)
    context, model = asking(settings, ['{"age": 36}'])
    assert await chat(RECORD, context) == RECORD.with_columns(output={"age": 36})
    assert isinstance(model.requests[0], ChatRequest)
    assert model.requests[0].schema == AGE


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no file"), ("{", "no JSON file"), ('{"type": 1}', r"\$\.type")]
)
def test_a_schema_file_that_is_none_is_refused_before_anything_runs(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "age.json").write_text(content)
    stage = {"name": "a", "type": "chat", "model": "m", "prompt": "p", "schema": "age.json"}
    models = {"m": {"base_url": "http://127.0.0.1:1/v1", "model": "x"}}
    with pytest.raises(RecipeError, match=message):
        Recipe.parse({"models": models, "stages": [stage], "run": {"accept": 1}}, tmp_path)


async def test_an_answer_that_was_cut_is_dropped_or_not_asked_for_again() -> None:
    cut = Response('{"age": "for', finish_reason="length")
    dropped, model = asking(ChatSettings(model="m", prompt="p", schema=AGE, truncated="drop"), [cut])
    assert await chat(RECORD, dropped) == Drop("truncated")
    failed, _ = asking(ChatSettings(model="m", prompt="p", schema=AGE), [cut])
    with pytest.raises(ModelError, match=r"cut at `max_tokens`"):
        await chat(RECORD, failed)
    assert len(model.requests) == 1


async def test_a_missing_column_fails_before_anything_is_asked() -> None:
    context, model = asking(ChatSettings(model="m", prompt="{{ nam }}"), [])
    with pytest.raises(StreamgenError, match=r"'nam'.*n, name"):
        await chat(RECORD, context)
    assert model.requests == []


def test_columns_are_read_off_the_templates() -> None:
    settings = ChatSettings(model="m", prompt="{{ a }} {% if b %}x{% endif %}", system="{{ c }}", output="d")
    assert (settings.reads(), settings.writes()) == ({"a", "b", "c"}, {"d"})


@pytest.mark.parametrize("field", [{"prompt": "{{ a "}, {"system": "{% if %}"}, {"schema": {"type": "wrong"}}])
def test_a_template_or_schema_that_cannot_be_right_is_refused(field: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(field))}: "):
        ChatSettings(**{"model": "m", "prompt": "p", **field}).check()


@pytest.mark.parametrize(
    "field", [{"temperature": 2.1}, {"top_p": 0}, {"max_tokens": 0}, {"truncated": "maybe"}, {"temprature": 1}]
)
def test_values_out_of_bounds_and_unknown_keys_are_refused(field: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(field))):
        msgspec.convert({"model": "m", "prompt": "p", **field}, ChatSettings)
