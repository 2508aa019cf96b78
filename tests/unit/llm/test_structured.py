import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.errors import ModelError, RecipeError
from streamgen.llm.structured import check_schema, fits, parse_json

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b", 1]}},
    },
    "required": ["name"],
}


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, 2]}',
        '  {"a": [1, 2]}\n',
        'Here you are:\n```json\n{"a": [1, 2]}\n```\nAnything else?',
        '```\n{"a": [1, 2]}\n```',
        'Sure: {"a": [1, 2]}',
        "{'a': [1, 2],}",
        '{"a": [1, 2',
    ],
)
def test_json_is_found_in_what_models_write(text: str) -> None:
    assert parse_json(text) == {"a": [1, 2]}


@pytest.mark.parametrize("text", ["", "no json here", "{", "```json\n```"])
def test_an_answer_without_json_is_an_error(text: str) -> None:
    with pytest.raises(ModelError, match="no JSON"):
        parse_json(text)


@given(st.text(max_size=60))
def test_any_text_gives_a_value_or_a_model_error(text: str) -> None:
    with contextlib.suppress(ModelError):
        parse_json(text)


@pytest.mark.parametrize("value", [{"name": "x"}, {"name": "x", "age": None, "tags": ["a", 1]}, {"name": "", "b": 1}])
def test_a_value_that_fits(value: object) -> None:
    assert fits(value, PERSON) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "$: expected object, got list"),
        ({}, "$: 'name' is missing"),
        ({"name": 1}, "$.name: expected string, got int"),
        ({"name": "x", "age": True}, "$.age: expected integer or null, got bool"),
        ({"name": "x", "age": 1.5}, "$.age: expected integer or null, got float"),
        ({"name": "x", "tags": ["a", "c"]}, "$.tags[1]: 'c' is none of 'a', 'b', 1"),
        ({"name": "x", "tags": [True]}, "$.tags[0]: True is none of 'a', 'b', 1"),
    ],
)
def test_the_first_mismatch_is_named_by_path(value: object, reason: str) -> None:
    assert fits(value, PERSON) == reason


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "strnig"}, r"did you mean 'string'.*`\$\.type`"),
        ({"type": 5}, r"unknown JSON Schema type 5"),
        ({"properties": {"a": {"type": "text"}}}, r"`\$\.properties\.a\.type`"),
        ({"items": []}, r"must be an object - at `\$\.items`"),
        ({"required": "name"}, r"`\$\.required`"),
        ({"enum": []}, r"`\$\.enum`"),
    ],
)
def test_a_wrong_schema_is_named_by_path(schema: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_schema(schema)


def test_a_good_schema_passes() -> None:
    check_schema(PERSON)
