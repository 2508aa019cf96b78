"""JSON Schema: a schema compiled once into a check. No library, no network, no generated code.

Draft 2020-12 but for dynamic references and what depends on evaluation (`unevaluated*`), which are refused, as is
everything that would have to be fetched. `format` is an annotation, as the draft has it; `nullable` is OpenAPI's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import NoReturn
from urllib.parse import unquote

import msgspec

from streamgen.errors import RecipeError, suggestion
from streamgen.llm.schema_keywords import KEYWORDS, TYPES, Check, type_check
from streamgen.llm.schema_parts import (
    all_members,
    anything,
    every_one,
    items,
    just_one,
    members,
    names,
    one_item,
    some_one,
)
from streamgen.record import Value

_APPLIED = {"properties", "patternProperties", "additionalProperties", "propertyNames", "items", "prefixItems"}
_COMBINED = {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contains", "$ref", "$defs", "definitions"}
_SAID = {"title", "description", "default", "examples", "example", "format", "nullable", "deprecated", "readOnly"}
_ABOUT = {"$schema", "$id", "id", "$comment", "$anchor", "$vocabulary", "writeOnly", "discriminator", "contentEncoding"}
_KNOWN = {*KEYWORDS, *_APPLIED, *_COMBINED, *_SAID, *_ABOUT, "type", "contentMediaType", "contentSchema"}
_REFUSED = {
    *("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "unevaluatedProperties"),
    *("unevaluatedItems", "dependentSchemas", "dependencies", "additionalItems", "minContains", "maxContains"),
}


def compile_schema(schema: Value) -> Check:
    """The check of a JSON Schema. Raises RecipeError, with the `$.path` in the schema, for one that is none.

    >>> compile_schema({"properties": {"a": {"type": "integer"}}})({"a": "x"})
    '.a: expected integer, got string'
    """
    try:
        msgspec.json.encode(schema)
        return _Compiler(schema).check
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise RecipeError(f"the JSON Schema is no JSON: {error}", "$") from None
    except RecursionError:
        raise RecipeError("the JSON Schema is nested too deeply", "$") from None


def resolve(root: Value, reference: str) -> Value:
    """What a `$ref` into the same schema points at. Raises LookupError for nothing, ValueError for elsewhere."""
    if reference != "#" and not reference.startswith("#/"):
        raise ValueError(reference)
    found = root
    for part in reference[1:].split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list | tuple) and name.isdigit() else found[name]
    return found


class _Compiler:
    """Compiles each target of a `$ref` once; a recursive schema's checks find each other when they are called."""

    def __init__(self, root: Value) -> None:
        self._root = root
        self._targets: dict[str, Check] = {}
        self._edges: dict[str, set[str]] = {}  # target -> the targets that look at the very same value
        self.check = self._reach("#", "$")
        try:
            TopologicalSorter(self._edges).prepare()
        except CycleError as error:
            around = " -> ".join(reversed(error.args[1]))
            raise RecipeError(f"the $ref leads back to itself without ever reaching a value: {around}", "$") from None

    def _reach(self, reference: str, path: str) -> Check:
        if reference not in self._targets:
            try:
                schema = resolve(self._root, reference)
            except ValueError:
                _refuse(f"{reference!r} lies outside and is never fetched: put it into `$defs` here", path)
            except (LookupError, TypeError):
                _refuse(f"{reference!r} points at nothing in this schema", path)
            self._targets[reference] = lambda value: self._targets[reference](value)
            self._edges[reference] = set()
            where = "$" + reference[1:].replace("/", ".")
            self._targets[reference] = self._compile(schema, where, reference)
        return self._targets[reference]

    def _compile(self, schema: Value, path: str, scope: str | None) -> Check:
        """The check of a subschema. `scope` is the target that looks at the same value; None further inside."""
        if isinstance(schema, bool):
            return anything if schema else lambda value: ": nothing is allowed here"
        if not isinstance(schema, Mapping):
            _refuse("a JSON Schema must be an object, true or false", path)
        _check_keywords(schema, path)
        for group in ("$defs", "definitions"):
            for name, inner in _table(schema, group, path).items():
                self._compile(inner, f"{path}.{group}.{name}", None)
        checks = [*self._own(schema, path), *self._combined(schema, path, scope), *self._inner(schema, path)]
        check = every_one(checks)
        if schema.get("nullable") is True:
            return lambda value: None if value is None else check(value)
        return check

    def _own(self, schema: Mapping[str, Value], path: str) -> list[Check]:
        checks = [type_check(_types(schema["type"], path))] if "type" in schema else []
        for name, keyword in KEYWORDS.items():
            if name in schema:
                if not keyword.takes(schema[name]):
                    _refuse(f"`{name}` must be {keyword.needs}", f"{path}.{name}")
                checks.append(keyword.check(schema[name]))
        return checks

    def _combined(self, schema: Mapping[str, Value], path: str, scope: str | None) -> list[Check]:
        checks: list[Check] = []
        if "$ref" in schema:
            checks.append(self._ref(schema["$ref"], f"{path}.$ref", scope))
        if "allOf" in schema:
            checks += self._list(schema, "allOf", path, scope)
        if "anyOf" in schema:
            checks.append(some_one(self._list(schema, "anyOf", path, scope)))
        if "oneOf" in schema:
            checks.append(just_one(self._list(schema, "oneOf", path, scope)))
        if "not" in schema:
            excluded = self._compile(schema["not"], f"{path}.not", scope)
            checks.append(lambda value: ": fits what `not` excludes" if excluded(value) is None else None)
        if "if" in schema:
            parts = [self._compile(schema.get(name, True), f"{path}.{name}", scope) for name in ("if", "then", "else")]
            checks.append(lambda value: parts[1 if parts[0](value) is None else 2](value))
        return checks

    def _ref(self, reference: Value, path: str, scope: str | None) -> Check:
        if not isinstance(reference, str):
            _refuse("`$ref` must be a text", path)
        check = self._reach(reference, path)
        if scope is not None:
            self._edges[scope].add(reference)
        return check

    def _inner(self, schema: Mapping[str, Value], path: str) -> list[Check]:
        checks: list[Check] = []
        if not {"properties", "patternProperties", "additionalProperties"}.isdisjoint(schema):
            checks.append(self._members(schema, path))
        if "propertyNames" in schema:
            checks.append(names(self._compile(schema["propertyNames"], f"{path}.propertyNames", None)))
        if not {"items", "prefixItems"}.isdisjoint(schema):
            first = self._list(schema, "prefixItems", path, None) if "prefixItems" in schema else []
            checks.append(items(first, self._compile(schema.get("items", True), f"{path}.items", None)))
        if "contains" in schema:
            checks.append(one_item(self._compile(schema["contains"], f"{path}.contains", None)))
        return checks

    def _members(self, schema: Mapping[str, Value], path: str) -> Check:
        tables = {
            group: {
                name: self._compile(inner, f"{path}.{group}.{name}", None)
                for name, inner in _table(schema, group, path).items()
            }
            for group in ("properties", "patternProperties")
        }
        others = schema.get("additionalProperties", True)
        if others is True and not tables["patternProperties"]:
            return members(tables["properties"])
        patterns = [(_regex(text, path), check) for text, check in tables["patternProperties"].items()]
        other = None if others is False else self._compile(others, f"{path}.additionalProperties", None)
        return all_members(tables["properties"], patterns, other)

    def _list(self, schema: Mapping[str, Value], name: str, path: str, scope: str | None) -> list[Check]:
        if not isinstance(schema[name], list | tuple) or not schema[name]:
            _refuse(f"`{name}` must be a list of at least one schema", f"{path}.{name}")
        return [self._compile(inner, f"{path}.{name}[{n}]", scope) for n, inner in enumerate(schema[name])]


def _refuse(message: str, path: str) -> NoReturn:
    raise RecipeError(message, path)


def _check_keywords(schema: Mapping[str, Value], path: str) -> None:
    """Unknown keywords are allowed, as the draft has it; but not those that look like a slip of the pen."""
    for name in schema:
        if name in _REFUSED:
            _refuse(f"`{name}` is not supported here; say it with the other keywords", f"{path}.{name}")
        if name not in _KNOWN and (near := get_close_matches(str(name), _KNOWN, n=1, cutoff=0.85)):
            _refuse(f"unknown keyword {name!r}; did you mean {near[0]!r}?", f"{path}.{name}")


def _types(given: Value, path: str) -> tuple[str, ...]:
    names = tuple(given) if isinstance(given, list | tuple) and given else (given,)
    for name in names:
        if not isinstance(name, str) or name not in TYPES:
            _refuse(f"unknown JSON Schema type {name!r}{suggestion(str(name), TYPES)}", f"{path}.type")
    return names


def _table(schema: Mapping[str, Value], name: str, path: str) -> Mapping[str, Value]:
    table: Value = schema.get(name, {})
    if not isinstance(table, Mapping):
        _refuse(f"`{name}` must be an object of schemas", f"{path}.{name}")
    return table


def _regex(text: str, path: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        _refuse(f"{text!r} is no regular expression: {error}", f"{path}.patternProperties")
