from __future__ import annotations

import contextlib
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.errors import ModelError, RecipeError
from streamgen.llm.shape import shape_of
from streamgen.llm.structured import MAX_DEPTH, MAX_REPAIRED, Found, Unfit, read
from streamgen.record import Value

ANY = shape_of({"description": "whatever"})
OBJECT = shape_of({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}})
LIST = shape_of({"type": "array"})


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"a": [1, 2]}', "as_is"),
        ('  {"a": [1, 2]}\n', "as_is"),
        ('<think>{"a": [3]} or {"a": [4]}?</think>\n{"a": [1, 2]}', "as_is"),
        ('first {"a": [3]}</think>{"a": [1, 2]}', "as_is"),
        ('Here you are:\n```json\n{"a": [1, 2]}\n```\nAnything else?', "fenced"),
        ('```\n{"a": [1, 2]}\n```', "fenced"),
        ('<THINK>hm</THINK>```JSON\n{"a": [1, 2]}```', "fenced"),
        ('```json\n{"a": "no"}\n```\nNo:\n```json\n{"a": [1, 2]}\n```', "fenced"),
        ('Sure: {"a": [1, 2]}', "fenced"),
        ('As {x} says [1], {"a": [1, 2]} it is.', "fenced"),
        ("{'a': [1, 2],}", "repaired"),
        ('{"a": [1, 2', "repaired"),
        ('Sure:\n```json\n{"a": [1, 2\n```', "repaired"),
    ],
)
def test_json_is_found_in_what_models_write(text: str, form: Literal["as_is", "fenced", "repaired"]) -> None:
    assert read(text, OBJECT) == Found({"a": [1, 2]}, form)


@pytest.mark.parametrize("text", ["", "no json here", "{", "```json\n```", "NaN", "<think>{}", "null and void"])
def test_an_answer_without_json_is_an_error(text: str) -> None:
    with pytest.raises(Unfit, match="no JSON"):
        read(text, ANY)


def test_a_list_may_stand_at_the_top() -> None:
    assert read("[1, 2]", LIST).value == [1, 2]
    assert read('Here: {"n": 1} and [1, 2]', LIST).value == [1, 2]


@pytest.mark.parametrize("text", ["{}", "[]", "null", "0", '""'])
def test_empty_values_are_values(text: str) -> None:
    assert read(text, ANY).form == "as_is"


def test_of_duplicate_keys_the_last_counts() -> None:
    assert read('{"a": [1], "a": [2]}', OBJECT).value == {"a": [2]}


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}'])
def test_numbers_that_json_does_not_have_become_null(text: str) -> None:
    assert read(text, ANY).value == {"a": None}
    with pytest.raises(Unfit, match=r"\$\.a: expected array, got null"):
        read(text, OBJECT)


@pytest.mark.parametrize("number", ["1e999", "9" * 5000])
def test_huge_numbers_do_not_get_through(number: str) -> None:
    with contextlib.suppress(Unfit):
        value = read(f'{{"a": {number}}}', ANY).value
        assert value == {"a": None} or isinstance(value["a"], str)


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', 'Sure: {"a": "\\ud800"}', "Sure: {'a': \"\\ud800\"}"])
def test_half_a_character_does_not_get_through(text: str) -> None:
    with contextlib.suppress(Unfit):
        msgspec.json.encode(read(text, ANY).value)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ("{'", ""), ("[", ""), ("{", "")])
@pytest.mark.parametrize("before", ["", "Sure: ", "```json\n"])
def test_what_is_nested_too_deeply_is_refused_at_once(levels: int, opening: str, closing: str, before: str) -> None:
    with pytest.raises(Unfit, match=r"levels deep|too long"):
        read(before + opening * levels + "1" + closing * levels, ANY)


def test_what_is_nested_up_to_the_limit_is_taken() -> None:
    value = read("[" * MAX_DEPTH + "]" * MAX_DEPTH, ANY).value
    assert msgspec.json.encode(value) == b"[" * MAX_DEPTH + b"]" * MAX_DEPTH


def test_a_recursive_schema_takes_what_is_nested_up_to_the_limit() -> None:
    tree = shape_of({"type": "array", "items": {"anyOf": [{"allOf": [{"$ref": "#"}]}, {"type": "null"}]}})
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH, tree).form == "as_is"


def test_an_answer_of_ten_megabytes_is_read_and_not_repaired() -> None:
    text = '{"a": [' + "1, " * 3_000_000 + "1]}"
    assert len(read(text, OBJECT).value["a"]) == 3_000_001
    with pytest.raises(Unfit, match="too long to be repaired"):
        read(text[:-2], OBJECT)
    assert read('{"a": [' + "1, " * (MAX_REPAIRED // 4), OBJECT).form == "repaired"


@given(st.text(max_size=60) | st.text(alphabet="{}[]\"':,1a\\`<>/think \n", max_size=80))
def test_any_text_gives_a_value_or_a_model_error(text: str) -> None:
    with contextlib.suppress(ModelError):
        msgspec.json.encode(read(text, ANY).value)


class Pet(msgspec.Struct):
    name: str
    kind: Literal["cat", "dog"] = "cat"
    friends: list[Pet] = []


def test_a_struct_is_checked_by_msgspec() -> None:
    shape = shape_of(Pet)
    assert read('{"name": "Tom", "else": 1}', shape).value == {"name": "Tom", "kind": "cat", "friends": []}
    with pytest.raises(Unfit, match=r"\$\.friends\[0\]\.name: Expected `str`, got `int`"):
        read('{"name": "Tom", "friends": [{"name": 1}]}', shape)
    assert shape.schema["type"] == "object"
    assert shape.properties == ("name", "kind", "friends")


@pytest.mark.parametrize(
    ("schema", "is_object", "openings"),
    [
        ({"type": "object"}, True, "{"),
        ({"type": "array"}, False, "["),
        ({"type": ["object", "array"]}, True, "{["),
        ({"properties": {}}, True, "{"),
        ({"type": "string"}, False, "{["),
    ],
)
def test_a_shape_knows_how_its_values_begin(schema: Value, is_object: bool, openings: str) -> None:
    shape = shape_of(schema)
    assert (shape.is_object, shape.openings) == (is_object, openings)


def test_a_schema_is_made_ready_once() -> None:
    schema = {"type": "integer"}
    assert shape_of(schema) is shape_of(schema)
    assert shape_of(schema) is not shape_of({"type": "string"})


@pytest.mark.parametrize("schema", [int, {"type": "x"}, 5])
def test_what_is_no_schema_is_refused(schema: Value) -> None:
    with pytest.raises(RecipeError):
        shape_of(schema)


INNER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_a_strict_schema_is_closed_all_through() -> None:
    properties = {"a": INNER, "b": {"type": "array", "items": INNER}, "c": {"anyOf": [INNER, {"type": "null"}]}}
    strict = shape_of({"type": "object", "properties": properties, "required": ["a", "b", "c"]}).strict
    assert strict is not None
    assert msgspec.json.encode(strict).count(b'"additionalProperties":false') == 4


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {**INNER, "required": []},
        {**INNER, "additionalProperties": True},
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"allOf": [INNER]}}, "required": ["a"]},
    ],
)
def test_what_a_strict_server_refuses_is_not_said_strictly(schema: Value) -> None:
    assert shape_of(schema).strict is None
