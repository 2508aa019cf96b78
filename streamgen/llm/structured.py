"""JSON out of what a model wrote, and whether it fits a schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from streamgen.errors import ModelError, RecipeError, suggestion
from streamgen.record import Value

_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL | re.IGNORECASE)
_OPENING = re.compile(r"[{\[]")

_IS: dict[str, Callable[[Value], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "number": lambda value: not isinstance(value, bool) and isinstance(value, int | float),
}


def parse_json(text: str) -> Value:
    """The JSON value in a model's answer: as it is, out of a fenced block, or repaired. Raises ModelError for none.

    >>> parse_json("Sure!\\n```json\\n{\\"a\\": 1}\\n```")
    {'a': 1}
    """
    for candidate in (text, *_FENCED.findall(text)):
        try:
            return msgspec.json.decode(candidate.strip())
        except (msgspec.DecodeError, UnicodeError):
            continue
    return _repaired(text)


def _repaired(text: str) -> Value:
    opening = _OPENING.search(text)
    if opening is None:
        raise ModelError(f"the answer holds no JSON: {text[:120]!r}")
    from json_repair import loads

    value = loads(text[opening.start() :])
    if not value:  # json-repair's word for "nothing found"
        raise ModelError(f"the answer holds no JSON that can be repaired: {text[:120]!r}")
    return value


def check_schema(schema: Mapping[str, Value], path: str = "$") -> None:
    """Raise RecipeError, naming the place, for a JSON Schema that cannot be right."""
    if not isinstance(schema, Mapping):
        raise RecipeError("a JSON Schema must be an object", path)
    for name in _types(schema):
        if not isinstance(name, str) or name not in _IS:
            raise RecipeError(f"unknown JSON Schema type {name!r}{suggestion(str(name), _IS)}", f"{path}.type")
    required = schema.get("required", [])
    if not isinstance(required, list | tuple) or not all(isinstance(name, str) for name in required):
        raise RecipeError("`required` must be a list of names", f"{path}.required")
    if "enum" in schema and not (isinstance(schema["enum"], list | tuple) and schema["enum"]):
        raise RecipeError("`enum` must be a list of at least one value", f"{path}.enum")
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        raise RecipeError("`properties` must be an object", f"{path}.properties")
    for name, inner in properties.items():
        check_schema(inner, f"{path}.properties.{name}")
    if "items" in schema:
        check_schema(schema["items"], f"{path}.items")


def fits(value: Value, schema: Mapping[str, Value], path: str = "$") -> str | None:
    """None where the value fits, else the first mismatch. Knows type, enum, properties, required and items.

    >>> fits({"a": "x"}, {"type": "object", "properties": {"a": {"type": "integer"}}})
    '$.a: expected integer, got str'
    """
    types = _types(schema)
    if types and not any(_IS[name](value) for name in types):
        return f"{path}: expected {' or '.join(types)}, got {type(value).__name__}"
    if "enum" in schema and not any(_is_same(value, allowed) for allowed in schema["enum"]):
        return f"{path}: {value!r} is none of {', '.join(map(repr, schema['enum']))}"
    if isinstance(value, dict):
        return _object_fits(value, schema, path)
    return _items_fit(value, schema, path) if isinstance(value, list) else None


def _object_fits(value: Mapping[str, Value], schema: Mapping[str, Value], path: str) -> str | None:
    for name in schema.get("required", ()):
        if name not in value:
            return f"{path}: {name!r} is missing"
    inner = ((name, part) for name, part in schema.get("properties", {}).items() if name in value)
    return next((reason for name, part in inner if (reason := fits(value[name], part, f"{path}.{name}"))), None)


def _items_fit(value: list[Value], schema: Mapping[str, Value], path: str) -> str | None:
    items = schema.get("items")
    if items is None:
        return None
    reasons = (fits(item, items, f"{path}[{index}]") for index, item in enumerate(value))
    return next((reason for reason in reasons if reason), None)


def _types(schema: Mapping[str, Value]) -> tuple[str, ...]:
    names = schema.get("type", ())
    return tuple(names) if isinstance(names, list | tuple) else (names,)


def _is_same(value: Value, other: Value) -> bool:
    # In JSON 1 and true differ.
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
