"""Turns raw recipe data into structs, with errors that say where and suggest the nearest known name."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from streamgen.errors import RecipeError, UnknownName
from streamgen.hints import hints_of, unreadable
from streamgen.settings import Settings

T = TypeVar("T")

_UNKNOWN = r"Object contains unknown field `(?P<field>.*?)`(?: - at `\$(?P<path>.*)`)?$"
_UNIONS = (typing.Union, types.UnionType)
_AT = r"(?s)(?P<message>.*) - at `\$(?P<path>.*)`$"


def decode(raw: object, type_: type[T], path: str = "$") -> T:
    """The raw value as `type_`, strictly. Raises RecipeError with the `$.path` of what does not fit.

    Raises PluginError for a `type_` whose annotations cannot be read.

    >>> class Point(msgspec.Struct, forbid_unknown_fields=True):
    ...     width: int = 0
    >>> decode({"with": 1}, Point, "$.size")
    Traceback (most recent call last):
    streamgen.errors.UnknownName: unknown setting 'with'; did you mean 'width'? known: width - at `$.size`
    """
    try:
        return msgspec.convert(raw, type_, strict=True)
    except msgspec.ValidationError as error:
        raise explained(str(error), type_, path) from None
    except NameError as error:
        raise unreadable(type_, error) from error


def check_settings(settings: msgspec.Struct, path: str) -> None:
    """Raise RecipeError where the settings' own `check` does not take their values together."""
    try:
        if isinstance(settings, Settings):
            settings.check()
    except ValueError as error:
        raise RecipeError(str(error), path) from None


def explained(message: str, type_: Any, path: str) -> RecipeError:
    """msgspec's message with the recipe's path, and the known names where a name is unknown."""
    if found := re.match(_UNKNOWN, message):
        inner = found["path"] or ""
        return UnknownName("setting", found["field"], _fields_at(type_, inner), path + inner)
    found = re.match(_AT, message)
    said, inner = (found["message"], found["path"]) if found else (message, "")
    return RecipeError(_plain(said) + _choices_at(type_, inner, said), path + inner)


def _plain(message: str) -> str:
    return message.replace("Object missing required field", "the required setting is missing:")


def _fields_at(type_: Any, path: str) -> list[str]:
    """The settings that are known at a path below the type."""
    struct = _struct_of(_type_at(type_, path))
    return [] if struct is None else list(struct.__struct_encode_fields__)


def _choices_at(type_: Any, path: str, said: str) -> str:
    """What may stand at the path, where msgspec only says that something else does."""
    if not said.startswith("Invalid enum value"):
        return ""
    found = _type_at(type_, path)
    kinds = typing.get_args(found) if typing.get_origin(found) in _UNIONS else (found,)
    return f"; allowed: {', '.join(word for kind in kinds for word in _words(kind))}"


def _words(kind: Any) -> list[str]:
    if typing.get_origin(kind) is typing.Literal:
        return [repr(value) for value in typing.get_args(kind)]
    return [getattr(typing.get_args(kind)[0] if typing.get_args(kind) else kind, "__name__", str(kind))]


def _type_at(type_: Any, path: str) -> Any:
    for step in re.findall(r"\.(\w+)|(\[.*?\])", path):
        type_ = _inside(type_, step[0])
    return type_


def _inside(type_: Any, field: str) -> Any:
    if field and (struct := _struct_of(type_)) is not None:
        names = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
        return hints_of(struct)[names[field]]
    arguments = typing.get_args(type_)
    return arguments[-1] if arguments else type_


def _struct_of(type_: Any) -> type[msgspec.Struct] | None:
    """The struct in the type, also in an optional one."""
    for candidate in (type_, *typing.get_args(type_)):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            return candidate
    return None


def need_table(raw: object, path: str) -> Mapping[str, Any]:
    """The raw value if it is a table (an object with named settings)."""
    if not isinstance(raw, Mapping):
        raise RecipeError(f"a table of settings is needed here, not {type(raw).__name__}", path)
    return raw
