"""What an answer has to be: a JSON Schema (inline, or in a file) or, from Python, a msgspec Struct."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import msgspec

from streamgen.errors import RecipeError
from streamgen.llm.schema import compile_schema, resolve
from streamgen.llm.strict import tightened
from streamgen.record import Value

SchemaLike: TypeAlias = Mapping[str, Value] | str | type[msgspec.Struct]
"""A JSON Schema, the path of a JSON file with one, or a Struct."""

_Fit: TypeAlias = Callable[[Value], tuple[Value, str | None]]
_REMEMBERED = 256


class Shape:
    """A schema made ready: what is sent, what is shown, and `fit`, which gives the value and why it does not fit.

    `strict` is the schema as servers want it that hold answers to it to the letter; None where it cannot be said so.
    `openings` are the brackets that such a value may begin with.
    """

    __slots__ = ("fit", "is_object", "openings", "schema", "strict", "text")

    def __init__(self, schema: Mapping[str, Value], fit: _Fit) -> None:
        self.schema, self.fit = schema, fit
        self.strict = tightened(schema)
        self.text = msgspec.json.encode(schema).decode()
        types = schema.get("type", ())
        self.is_object = types == "object" or "object" in types or (not types and "properties" in schema)
        is_list = types == "array" or (not isinstance(types, str) and "array" in types)
        self.openings = "{" if self.is_object and not is_list else "[" if is_list and not self.is_object else "{["

    @property
    def properties(self) -> tuple[str, ...]:
        """The names of an object's own properties; none where the value could be something else than an object."""
        return tuple(self.schema.get("properties", ())) if self.schema.get("type") == "object" else ()

    def __repr__(self) -> str:
        return f"<Shape {self.text[:60]}>"


_shapes: dict[int, tuple[object, Shape]] = {}


def shape_of(schema: SchemaLike, *, anew: bool = False) -> Shape:
    """The shape, made ready once for each schema; `anew` reads files again that may have changed.

    Raises RecipeError, with the `$.path`, for what is no schema.

    >>> shape_of({"type": "integer"}).fit("x")
    ('x', '$: expected integer, got string')
    """
    if isinstance(schema, str):
        if anew:
            _shape_of_file.cache_clear()
        return _shape_of_file(schema)
    # The entry keeps the object alive, so that no other one can have its id.
    known = _shapes.get(id(schema))
    if known is None or known[0] is not schema:
        if len(_shapes) >= _REMEMBERED:
            _shapes.clear()
        known = _shapes[id(schema)] = (schema, _made(schema))
    return known[1]


def _made(schema: Mapping[str, Value] | type[msgspec.Struct]) -> Shape:
    if isinstance(schema, type):
        return _shape_of_struct(schema)
    if not isinstance(schema, Mapping):
        raise RecipeError("a JSON Schema must be an object", "$")
    check = compile_schema(schema)

    def fit(value: Value) -> tuple[Value, str | None]:
        try:
            reason = check(value)
        except RecursionError:
            reason = ": the schema leads too deep for this value"
        return value, None if reason is None else f"${reason}"

    return Shape(schema, fit)


@lru_cache(maxsize=_REMEMBERED)
def _shape_of_file(path: str) -> Shape:
    try:
        return _made(msgspec.json.decode(Path(path).read_bytes()))
    except OSError as error:
        raise RecipeError(f"the JSON Schema {path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RecipeError(f"{path} is no JSON file: {error}") from error


def _shape_of_struct(struct: type) -> Shape:
    if not issubclass(struct, msgspec.Struct):
        raise RecipeError(f"a schema is an object, a file or a msgspec Struct, not {struct.__qualname__}", "$")
    try:
        schema = msgspec.json.schema(struct)
    except (TypeError, NameError) as error:
        raise RecipeError(f"{struct.__qualname__} has no JSON Schema: {error}", "$") from error

    def fit(value: Value) -> tuple[Value, str | None]:
        try:
            return msgspec.to_builtins(msgspec.convert(value, struct)), None
        except (msgspec.ValidationError, RecursionError) as error:
            said, _, path = str(error).partition(" - at `")
            return value, f"{path.rstrip('`') or '$'}: {said}"

    return Shape(_with_root(schema), fit)


def _with_root(schema: dict[str, Value]) -> dict[str, Value]:
    """The schema with its own definition in the root, where servers look for the type."""
    if (reference := schema.pop("$ref", None)) is None:
        return schema
    return {**resolve(schema, reference), **schema}
