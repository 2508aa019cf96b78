"""Reads a recipe's file, and sets single values of it from the command line."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from streamgen.errors import MissingExtra, RecipeError, suggestion
from streamgen.record import Value


def read_raw(path: Path) -> dict[str, Value]:
    """The file's content by its suffix: .toml, .yaml, .yml or .json. Raises RecipeError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}") from None
    try:
        raw = _parsed(path, data)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid {path.suffix.lstrip('.').upper()}: {error}") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path} holds no table at its top; begin with a name and [[stages]]")
    return raw


def _parsed(path: Path, data: bytes) -> Any:
    match path.suffix.lower():
        case ".toml":
            return tomllib.loads(data.decode())
        case ".json":
            return msgspec.json.decode(data)
        case ".yaml" | ".yml":
            try:
                return msgspec.yaml.decode(data)
            except ImportError:
                raise MissingExtra("a recipe in YAML", "yaml") from None
        case suffix:
            raise RecipeError(f"{path}: a recipe ends in .toml, .yaml, .yml or .json, not in {suffix or 'nothing'}")


def override(raw: Mapping[str, Value], assignments: Iterable[str]) -> dict[str, Value]:
    """A copy of the raw recipe with each `path=value` set; list entries go by name or number.

    >>> override({"stages": [{"name": "a", "n": 1}]}, ["stages.a.n=2", "run.accept=5"])
    {'stages': [{'name': 'a', 'n': 2}], 'run': {'accept': 5}}
    """
    result: dict[str, Value] = copy.deepcopy(dict(raw))
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise RecipeError(f"--set takes path=value, as in stages.answer.temperature=0.5; got {assignment!r}")
        _assign(result, name.strip().split("."), _value(text))
    return result


def _assign(node: Any, steps: list[str], value: Value) -> None:
    *inner, last = steps
    for step in inner:
        node = _entry(node, step) if isinstance(node, list) else node.setdefault(step, {})
        if not isinstance(node, dict | list):
            raise RecipeError(f"--set {'.'.join(steps)}: {step!r} holds a value, not a table")
    if isinstance(node, list):
        node[_index(node, last)] = value
    else:
        node[last] = value


def _entry(entries: list[Any], step: str) -> Any:
    return entries[_index(entries, step)]


def _index(entries: list[Any], step: str) -> int:
    if step.isdigit() and int(step) < len(entries):
        return int(step)
    names = [entry.get("name", "") if isinstance(entry, dict) else "" for entry in entries]
    if step in names:
        return names.index(step)
    raise RecipeError(f"--set: there is no entry {step!r}{suggestion(step, filter(None, names))}")


def _value(text: str) -> Value:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
