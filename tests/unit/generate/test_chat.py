from __future__ import annotations

import msgspec
import pytest
from asking import asking

from streamgen.engine.stage import Drop
from streamgen.errors import ModelError, StreamgenError
from streamgen.generate.chat import ChatSettings, chat
from streamgen.llm.model import ChatRequest, Message, Response
from streamgen.record import Record

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


async def test_structured_output_is_parsed_and_must_fit() -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    settings = ChatSettings(model="m", prompt="p", schema=schema)
    context, model = asking(settings, ['```json\n{"age": 36}\n```', '{"age": "old"}'])
    assert await chat(RECORD, context) == RECORD.with_columns(output={"age": 36})
    assert isinstance(model.requests[0], ChatRequest)
    assert model.requests[0].schema == schema
    with pytest.raises(ModelError, match=r"does not fit the schema: \$\.age: expected integer"):
        await chat(RECORD, context)


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
