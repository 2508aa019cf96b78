"""Schemas as servers want them that promise to hold answers to the letter (OpenAI's `strict`, and who follows it)."""

from __future__ import annotations

from collections.abc import Mapping

from streamgen.record import Value

# https://platform.openai.com/docs/guides/structured-outputs: what a strict schema may hold.
_ALLOWED = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"),
    *("title", "description", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("multipleOf", "minItems", "maxItems"),
}


class _Loose(Exception):
    """A strict server would refuse it."""


def tightened(schema: Mapping[str, Value]) -> Mapping[str, Value] | None:
    """The schema with every object closed to further properties; None where strict servers would refuse it.

    What fits it fits the schema that it was made of.

    >>> tightened({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]})["additionalProperties"]
    False
    >>> tightened({"type": "object", "properties": {"a": {"type": "null"}}}) is None  # `a` may be left out
    True
    """
    if schema.get("type") != "object" or "anyOf" in schema:
        return None
    try:
        return _closed(schema)
    except _Loose:
        return None


def _closed(schema: Value) -> Mapping[str, Value]:
    if not isinstance(schema, Mapping) or not _ALLOWED.issuperset(schema):
        raise _Loose
    closed = dict(schema)
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties", False) or set(schema.get("required", ())) != set(_names(schema)):
            raise _Loose
        closed["additionalProperties"] = False
    for group in ("properties", "$defs"):
        if group in schema:
            closed[group] = {name: _closed(inner) for name, inner in schema[group].items()}
    if "anyOf" in schema:
        closed["anyOf"] = [_closed(inner) for inner in schema["anyOf"]]
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    return closed


def _names(schema: Mapping[str, Value]) -> Mapping[str, Value]:
    properties: Mapping[str, Value] = schema.get("properties", {})
    return properties
