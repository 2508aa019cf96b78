"""Finds a user's function by "module:function": beside the recipe, or installed."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

from streamgen.errors import RecipeError, UnknownName

Function: TypeAlias = Callable[..., Any]


def find_function(function: object, directory: str | None, path: str) -> Function:
    """The function itself, or the one that "module:function" names. Raises RecipeError with the recipe's `path`."""
    if callable(function):
        return cast(Function, function)
    if not isinstance(function, str) or not all(function.partition(":")):
        raise RecipeError(f'expected "module:function", not {function!r}', path)
    module_name, _, name = function.partition(":")
    module = _load(module_name, directory, path)
    if not callable(found := getattr(module, name, None)):
        known = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise UnknownName(f"function of {module_name!r}", name, known, path)
    return cast(Function, found)


def _load(name: str, directory: str | None, path: str) -> ModuleType:
    """The module from the recipe's directory, or else an installed one."""
    try:
        beside = Path(directory, *name.split(".")).with_suffix(".py") if directory else None
        return _load_file(beside) if beside and beside.is_file() else import_module(name)
    except Exception as error:
        where = f"beside the recipe ({directory}) or installed" if directory else "installed"
        raise RecipeError(
            f"cannot import {name!r}, looked for {where}: {type(error).__name__}: {error}", path
        ) from error


@contextmanager
def _importable(directory: str) -> Iterator[None]:
    """Lets the module import its neighbours while it is loaded."""
    sys.path.insert(0, directory)
    try:
        yield
    finally:
        sys.path.remove(directory)


def _load_file(path: Path) -> ModuleType:
    """The file as a module under a name of its own: two recipes may both have a `rewards.py` beside them."""
    name = f"{path.stem}_{hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()}"
    spec = spec_from_file_location(name, path)
    assert spec and spec.loader
    module = sys.modules[name] = module_from_spec(spec)
    with _importable(str(path.parent)):
        spec.loader.exec_module(module)
    return module
