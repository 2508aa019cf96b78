"""The filters of a group: made from their tables, and checked to be no more than filters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from streamgen import registry
from streamgen.context import Context, StageContext
from streamgen.decode import check_settings, decode
from streamgen.engine.results import children_of
from streamgen.engine.stage import Drop, Kind, Remembering, Result, Stateful, kind_of
from streamgen.errors import RecipeError
from streamgen.hints import hints_of
from streamgen.record import Record, Value
from streamgen.settings import Settings


class Member(NamedTuple):
    """A filter by its name, with its settings."""

    name: str
    settings: Settings | None
    judge: Callable[[Sequence[Record]], Sequence[Record | Drop]]


def members_of(tables: Sequence[Mapping[str, Value]]) -> tuple[Member, ...]:
    """The members of a group. Raises RecipeError, with the place in `members`, for what cannot be one."""
    members = tuple([_member(table, f"members[{n}]") for n, table in enumerate(tables)])
    for n, member in enumerate(members):
        if member.name in [other.name for other in members[:n]]:
            raise RecipeError(f"two filters are called {member.name!r}; give one of them a `name`", f"members[{n}]")
    return members


def _member(table: Mapping[str, Value], path: str) -> Member:
    if not isinstance(kind := table.get("type"), str):
        raise RecipeError('a filter needs a type, as in { type = "length", column = "text" }', f"{path}.type")
    name = table.get("name", kind)
    if not isinstance(name, str) or not name or "." in name or "/" in name:
        raise RecipeError(f"the name {name!r} must be text without `.` and `/`", f"{path}.name")
    factory: Any = registry.find("stages", kind, f"{path}.type")
    struct = registry.settings_type(factory)
    own = {key: value for key, value in table.items() if key not in ("type", "name")}
    settings: Any = decode(own, struct, path) if struct else None
    if settings is not None:
        check_settings(settings, path)
    handler = _made(factory, settings) if inspect.isclass(factory) else factory
    if why := _why_not(handler, settings):
        raise RecipeError(f"{kind!r} {why}: make it a stage of its own, behind the group", f"{path}.type")
    return Member(name, settings, _judge(handler, StageContext(name, settings)))


def _made(factory: Callable[..., Any], settings: Settings | None) -> Any:
    return factory() if settings is None else factory(settings)


def _why_not(handler: Any, settings: Settings | None) -> str | None:
    """Why the order of the members would matter with this one, or the group could not call it."""
    if kind_of(handler) is Kind.AWAITING:
        return "waits for a model"
    if isinstance(handler, Stateful | Remembering):
        return "remembers the records that pass it"
    if settings is not None and settings.writes():
        return "changes columns"
    function = handler if inspect.isroutine(handler) else type(handler).__call__
    hints = [getattr(hint, "__origin__", hint) for hint in hints_of(function).values()]
    return "draws at random or asks a model" if Context in hints else None


def _judge(handler: Any, context: StageContext[Any]) -> Callable[[Sequence[Record]], Sequence[Record | Drop]]:
    """The handler, called on a batch, whatever its kind."""
    if kind_of(handler) is Kind.BATCH:
        return lambda records: [
            _plain(result, record, context.stage)
            for result, record in zip(handler(records, context) if records else (), records, strict=True)
        ]
    return lambda records: [_plain(handler(record, context), record, context.stage) for record in records]


def _plain(result: Result, record: Record, name: str) -> Record | Drop:
    """The record or a drop. Raises TypeError for a filter that makes several records, or changes one."""
    children = children_of(result, record, name)
    if isinstance(children, Drop):
        return children
    (*others, kept) = children
    if others or (kept.columns is not record.columns and kept.columns != record.columns):
        raise TypeError(f"{name!r} changes records: only what keeps or drops them can stand in a group of filters")
    return kept
