"""Annotations as objects: how handlers say what they take and which settings they ask for."""

from __future__ import annotations

import inspect
import typing
from types import SimpleNamespace
from typing import Any

from streamgen.errors import PluginError


def hints_of(annotated: Any) -> dict[str, Any]:
    """Every annotation of a function or a class. Raises PluginError where one names what is not there at run time."""
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise unreadable(annotated, error) from error


def hint_of_first(function: Any) -> Any:
    """The annotation of the first parameter, but for `self`; the others need not be readable. Raises PluginError."""
    first = next((name for name in inspect.signature(function).parameters if name != "self"), "")
    try:
        annotations = getattr(function, "__annotations__", {})  # from Python 3.14 on it is only now that they are read
        if first not in annotations:
            return None
        alone = SimpleNamespace(__annotations__={first: annotations[first]})
        return typing.get_type_hints(alone, getattr(inspect.unwrap(function), "__globals__", {}))[first]
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise unreadable(function, error) from error


def unreadable(annotated: Any, error: Exception) -> PluginError:
    """The error for annotations that cannot be read."""
    where = f"{getattr(annotated, '__module__', '?')}:{getattr(annotated, '__qualname__', annotated)}"
    return PluginError(
        f"the annotations of {where} cannot be read: {error}; import what they name at run time (not under "
        "TYPE_CHECKING), and define settings at the top of their module"
    )
