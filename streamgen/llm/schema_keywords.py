"""JSON Schema keywords that look at one value alone: types, choices, bounds, lengths, patterns."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from streamgen.record import Value

Check: TypeAlias = Callable[[Value], str | None]
"""None where the value fits, else the way to what does not, and why: `.tags[1]: expected string, got int`."""

_Fails: TypeAlias = Callable[[int, int], bool]

_QUOTED = 60  # characters of a value that a message repeats


def is_number(value: Value) -> bool:
    """Whether JSON calls it a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Value) -> bool:
    return is_number(value) and (isinstance(value, int) or value.is_integer())


TYPES: Mapping[str, Callable[[Value], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": _is_integer,
    "number": is_number,
}


class Keyword(NamedTuple):
    """What may stand behind a keyword (`needs` says it in words), and the check that it stands for."""

    takes: Callable[[Value], bool]
    needs: str
    check: Callable[[Any], Check]


def shown(value: Value) -> str:
    """A value as a message repeats it.

    >>> shown("a" * 100)[-8:]
    'aaaaa...'
    """
    text = repr(value)
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


def key_of(value: Value) -> Hashable:
    """The same for values that are equal in JSON, where 1 is 1.0 and not true.

    >>> key_of([1, {"a": 2.0}]) == key_of([1.0, {"a": 2}]), key_of(1) == key_of(True)
    (True, False)
    """
    if isinstance(value, bool):
        return bool, value
    if isinstance(value, list | tuple):
        return list, *map(key_of, value)
    if isinstance(value, dict):
        return dict, frozenset((name, key_of(part)) for name, part in value.items())
    return value  # type: ignore[no-any-return]


def type_check(names: tuple[str, ...]) -> Check:
    """The check for `type`: one of these names."""
    tests = [TYPES[name] for name in names]
    expected = " or ".join(names)
    if len(tests) == 1:
        is_type = tests[0]
        return lambda value: None if is_type(value) else f": expected {expected}, got {_kind(value)}"
    return lambda value: None if any(test(value) for test in tests) else f": expected {expected}, got {_kind(value)}"


def _kind(value: Value) -> str:
    return next(name for name in ("null", "boolean", "integer", *TYPES) if TYPES[name](value))


def _one_of(allowed: list[Value]) -> Check:
    keys = {key_of(value) for value in allowed}
    said = ", ".join(map(shown, allowed[:20])) + (", ..." if len(allowed) > 20 else "")
    return lambda value: None if key_of(value) in keys else f": {shown(value)} is none of {said}"


def _constant(wanted: Value) -> Check:
    key = key_of(wanted)
    return lambda value: None if key_of(value) == key else f": {shown(value)} is not {shown(wanted)}"


def _number(fails: Callable[[Any, Any], bool], said: str) -> Keyword:
    def check(limit: Value) -> Check:
        return lambda value: (
            f": {shown(value)} is {said} {limit!r}" if is_number(value) and fails(value, limit) else None
        )

    return Keyword(is_number, "a number", check)


def _size(
    kind: type[str] | type[list[Value]] | type[dict[str, Value]], fails: Callable[[int, int], bool], said: str
) -> Keyword:
    def check(limit: int) -> Check:
        return lambda value: (
            f": {len(value)} {said} {limit}" if isinstance(value, kind) and fails(len(value), limit) else None
        )

    return Keyword(lambda value: _is_integer(value) and value >= 0, "a whole number of 0 or more", check)


def _is_no_multiple(value: float, step: float) -> bool:
    return Fraction(repr(value)) % Fraction(repr(step)) != 0


def _pattern(pattern: str) -> Check:
    search = re.compile(pattern).search
    return lambda value: (
        f": {shown(value)} does not match {pattern!r}" if isinstance(value, str) and not search(value) else None
    )


def _is_pattern(value: Value) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError, RecursionError, OverflowError):
        return False
    return isinstance(value, str)


def _unique(wanted: bool) -> Check:
    def check(value: Value) -> str | None:
        if not wanted or not isinstance(value, list):
            return None
        return ": some items are the same" if len(set(map(key_of, value))) < len(value) else None

    return check


def _needed(names: list[str]) -> Check:
    def check(value: Value) -> str | None:
        if isinstance(value, dict):
            for name in names:
                if name not in value:
                    return f": {name!r} is missing"
        return None

    return check


def _dependent(needs: Mapping[str, list[str]]) -> Check:
    checks = {name: _needed(others) for name, others in needs.items()}

    def check(value: Value) -> str | None:
        if not isinstance(value, dict):
            return None
        return next((said for name, inner in checks.items() if name in value and (said := inner(value))), None)

    return check


def _are_names(value: Value) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


def _is_list_of_some(value: Value) -> bool:
    return isinstance(value, list | tuple) and bool(value)


KEYWORDS: Mapping[str, Keyword] = {
    "enum": Keyword(_is_list_of_some, "a list of at least one value", lambda allowed: _one_of(list(allowed))),
    "const": Keyword(lambda value: True, "", _constant),
    "minimum": _number(operator.lt, "below"),
    "maximum": _number(operator.gt, "above"),
    "exclusiveMinimum": _number(operator.le, "not above"),
    "exclusiveMaximum": _number(operator.ge, "not below"),
    "multipleOf": _number(_is_no_multiple, "no multiple of")._replace(
        takes=lambda value: is_number(value) and value > 0, needs="a number above 0"
    ),
    "minLength": _size(str, operator.lt, "characters are fewer than"),
    "maxLength": _size(str, operator.gt, "characters are more than"),
    "pattern": Keyword(_is_pattern, "a regular expression", _pattern),
    "minItems": _size(list, operator.lt, "items are fewer than"),
    "maxItems": _size(list, operator.gt, "items are more than"),
    "uniqueItems": Keyword(lambda value: isinstance(value, bool), "true or false", _unique),
    "minProperties": _size(dict, operator.lt, "properties are fewer than"),
    "maxProperties": _size(dict, operator.gt, "properties are more than"),
    "required": Keyword(_are_names, "a list of names", _needed),
    "dependentRequired": Keyword(
        lambda value: isinstance(value, Mapping) and all(map(_are_names, value.values())),
        "an object of lists of names",
        _dependent,
    ),
}
