"""Every keyword, and everything that is no schema. Values are taken from the drafts' own test suite in spirit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.errors import RecipeError
from streamgen.llm.schema import compile_schema
from streamgen.record import Value

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b", 1]}},
    },
    "required": ["name"],
}
TREE = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}, "n": {"type": "integer"}},
            "required": ["n"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "good", "bad", "reason"),
    [
        ({"type": "integer"}, [1, 1.0, 10**30], ["1", True, 1.5, None], ": expected integer, got"),
        ({"type": ["string", "null"]}, ["", None], [0, [], {}], ": expected string or null, got"),
        (
            {"enum": [1, "a", [True], {"b": 1}]},
            [1.0, "a", [True], {"b": 1.0}],
            [True, [1], {"b": True}, "b"],
            "none of",
        ),
        ({"const": None}, [None], [0, "", False], "is not None"),
        ({"minimum": 2}, [2, 2.5, "x", True], [1, 1.9, -(10**30)], "is below 2"),
        ({"maximum": 2}, [2, -1], [3, 2.1], "is above 2"),
        ({"exclusiveMinimum": 0}, [0.1], [0, -1], "is not above 0"),
        ({"exclusiveMaximum": 0}, [-0.1], [0, 1], "is not below 0"),
        ({"multipleOf": 0.1}, [0.3, 1, 10**400], [0.25, 1e-9], "is no multiple of 0.1"),
        ({"minLength": 2, "maxLength": 3}, ["ab", "äöü", 1], ["a", "abcd"], "characters are"),
        ({"pattern": "^a+$"}, ["aa", 1], ["b", ""], "does not match"),
        ({"minItems": 1, "maxItems": 2}, [[1], [1, 2], {}], [[], [1, 2, 3]], "items are"),
        ({"uniqueItems": True}, [[1, True, "1"], []], [[1, 1.0], [{"a": 1}, {"a": 1}]], "are the same"),
        ({"items": {"type": "null"}}, [[], [None]], [[None, 1]], r"\[1\]: expected null"),
        ({"prefixItems": [{"type": "null"}], "items": False}, [[], [None]], [[1], [None, 1]], r"\[\d\]: "),
        ({"contains": {"const": 1}}, [[0, 1]], [[], [0]], "no item fits"),
        ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}], [{}, {"a": 1, "b": 2}], "properties are"),
        ({"required": ["a"]}, [{"a": None}, []], [{}], ": 'a' is missing"),
        ({"dependentRequired": {"a": ["b"]}}, [{}, {"a": 1, "b": 1}], [{"a": 1}], ": 'b' is missing"),
        ({"propertyNames": {"maxLength": 1}}, [{"a": 1}], [{"ab": 1}], "the name 'ab' does not fit"),
        ({"properties": {"a b": {"type": "null"}}}, [{"a b": None}], [{"a b": 1}], r"^\['a b'\]: expected null"),
        (
            {"properties": {"abc": {}}, "patternProperties": {"^x": {"type": "null"}}, "additionalProperties": False},
            [{"abc": 1, "x1": None}],
            [{"abd": 1}],
            r"'abd' is not allowed; did you mean 'abc'",
        ),
        ({"additionalProperties": {"type": "null"}}, [{"a": None}], [{"a": 1}], r"^\.a: expected null"),
        ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3], "is (above|below)"),
        ({"anyOf": [{"type": "null"}, PERSON]}, [None, {"name": ""}], [{"name": 1}], r"^\.name: expected string"),
        ({"anyOf": [{"type": "null"}, {"const": 1}]}, [None, 1], [2], "fits no alternative"),
        ({"oneOf": [{"minimum": 1}, {"maximum": 2}]}, [0, 3], [1, 2], "fits 2 alternatives"),
        ({"not": {"type": "null"}}, [1], [None], "fits what `not` excludes"),
        ({"if": {"type": "string"}, "then": {"const": "a"}, "else": {"const": 1}}, ["a", 1], ["b", 2], "is not"),
        ({"type": "integer", "nullable": True}, [None, 1], ["x"], "expected integer"),
        ({"properties": {"a": True, "b": False}}, [{"a": 1}], [{"b": 1}], r"^\.b: nothing is allowed here"),
        (TREE, [{"n": 1, "kids": [{"n": 2, "kids": []}]}], [{"n": 1, "kids": [{"n": "x"}]}], r"^\.kids\[0\]\.n: "),
        ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"const": 1}}}, [1], [2], "is not 1"),
        ({"x-own": {"anything": 1}, "format": "email", "title": 3}, [1, "no mail"], [], ""),
    ],
)
def test_a_keyword(schema: Value, good: list[Value], bad: list[Value], reason: str) -> None:
    check = compile_schema(schema)
    assert [check(value) for value in good] == [None] * len(good)
    for value in bad:
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(check(value))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "strnig"}, r"did you mean 'string'.*`\$\.type`"),
        ({"type": 5}, r"unknown JSON Schema type 5"),
        ({"type": []}, r"unknown JSON Schema type \[\]"),
        ({"properties": {"a": {"type": "text"}}}, r"`\$\.properties\.a\.type`"),
        ({"properties": []}, r"an object of schemas - at `\$\.properties`"),
        ({"items": []}, r"must be an object, true or false - at `\$\.items`"),
        ({"required": "name"}, r"`\$\.required`"),
        ({"requird": ["name"]}, r"did you mean 'required'\?"),
        ({"enum": []}, r"`\$\.enum`"),
        ({"minimum": "1"}, r"must be a number - at `\$\.minimum`"),
        ({"exclusiveMinimum": True}, r"must be a number"),
        ({"multipleOf": 0}, r"above 0"),
        ({"maxLength": -1}, r"`\$\.maxLength`"),
        ({"pattern": "("}, r"regular expression - at `\$\.pattern`"),
        ({"patternProperties": {"(": {}}}, r"no regular expression"),
        ({"anyOf": []}, r"`\$\.anyOf`"),
        ({"$ref": "#/$defs/a"}, r"points at nothing"),
        ({"$ref": "https://example.com/schema.json"}, r"never fetched"),
        ({"$ref": "other.json#/a"}, r"never fetched"),
        ({"$ref": 1}, r"must be a text"),
        ({"$ref": "#"}, r"leads back to itself"),
        (
            {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}},
            r"back to itself.*b -> ",
        ),
        ({"$dynamicRef": "#a"}, r"is not supported here"),
        ({"$defs": {"a": {"type": "x"}}}, r"`\$\.\$defs\.a\.type`"),
        ({"const": {1, 2, 3}.__iter__()}, r"no JSON"),
        ([], r"must be an object"),
        ("x", r"must be an object"),
    ],
)
def test_what_is_no_schema_is_named_by_path(schema: Value, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        compile_schema(schema)


def test_a_schema_of_a_thousand_levels_is_refused_and_not_a_crash() -> None:
    schema: Value = {"type": "null"}
    for _ in range(5000):
        schema = {"items": schema}
    with pytest.raises(RecipeError, match="nested too deeply"):
        compile_schema(schema)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_a_constant_fits_itself_alone(value: Value, other: Value) -> None:
    check = compile_schema({"const": value})
    assert check(value) is None
    assert (check(other) is None) == (compile_schema({"enum": [other]})(value) is None)
