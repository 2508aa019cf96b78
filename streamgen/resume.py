"""Going on with an earlier run: whether the recipe still fits, and what was already done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from streamgen.engine.graph import SOURCE
from streamgen.engine.stage import Memory
from streamgen.errors import RecipeError
from streamgen.journal.progress import Progress
from streamgen.journal.store import Store
from streamgen.llm.caller import CallKey, stored_response
from streamgen.llm.model import Response
from streamgen.llm.spec import ModelSpec
from streamgen.recipe import Part, Recipe
from streamgen.record import Value
from streamgen.source import Place
from streamgen.timeline import Moment, moments_of

if TYPE_CHECKING:
    from streamgen.control.agent import Reward, Trial

_RECIPE = "recipe"
_TICKET = re.compile(r"\d+")


class Past(msgspec.Struct, frozen=True):
    """What earlier sessions of a run did. Empty for a fresh one.

    `accepted` and `surplus` are ids of records that are stored though their tickets are not settled.
    """

    sessions: int = 0
    unsettled: Sequence[int] = ()
    following: int = 0
    replay: dict[CallKey, Response] = {}
    accepted: Set[str] = frozenset()
    surplus: Set[str] = frozenset()
    minutes: float = 0.0
    trials: Sequence[Trial] = ()
    rewards: Sequence[tuple[int, Reward]] = ()
    retunes: Sequence[tuple[int, Mapping[str, Value]]] = ()
    bad_rows: int = 0
    place: Place | None = None
    moments: Sequence[Moment] = ()


def what_makes_the_data(recipe: Recipe) -> dict[str, Value]:
    """The recipe without all that may change between sessions (limits, budget, accept, parallelism, sinks, keys)."""
    return {
        "seed": recipe.seed,
        "models": {name: _model(spec) for name, spec in recipe.models.items()},
        "source": _part(recipe.source, recipe) if recipe.source else None,
        "stages": {
            stage.name: {
                "type": _named(stage.type),
                "inputs": list(stage.inputs),
                **_settings(stage.settings, recipe),
                **(stage.settings.meanings() if stage.settings else {}),
            }
            for stage in recipe.stages
        },
        "order": [stage.name for stage in recipe.stages],
        "controller": _controller(recipe) if recipe.controller else None,
    }


def adopt(store: Store, recipe: Recipe, begin_anew: Callable[[], None] = lambda: None) -> None:
    """Write the recipe into a fresh journal, or check that an old one was written by the same.

    Where only the controller differs, and is to begin with what it learned here, `begin_anew` lets it. Raises
    RecipeError with every difference that would change the data.
    """
    now = what_makes_the_data(recipe)
    if (stored := store.fact(_RECIPE)) is None:
        store.commit({"facts": [(_RECIPE, msgspec.json.encode(now)), ("name", recipe.name.encode())]})
    else:
        changes = list(differences(msgspec.json.decode(stored), msgspec.json.decode(msgspec.json.encode(now))))
        where = store.path.parent if store.path else Path("the run")
        is_controller_only = all(change.startswith("$.controller.") for change in changes)
        if changes and is_controller_only and _begins_with(recipe, where):
            begin_anew()
            store.commit({"facts": [(_RECIPE, msgspec.json.encode(now))]})
        elif changes:
            listed = "\n  ".join(changes)
            hint = f", or let it learn on with --warm-start {where}" if is_controller_only and store.path else ""
            raise RecipeError(
                f"{where} holds a run of another recipe; these would change its data:\n  {listed}\n"
                f"go on with the old values, or choose another directory with --out{hint}"
            )
    store.commit({"facts": [("recipe.raw", msgspec.json.encode(recipe.raw, enc_hook=_named))]})


def _begins_with(recipe: Recipe, directory: Path) -> bool:
    """Whether the controller is to begin with what was learned in this directory."""
    spec = recipe.controller
    return bool(spec and spec.warm_start and (recipe.directory / spec.warm_start).resolve() == directory.resolve())


def differences(old: Value, new: Value, path: str = "$") -> Iterator[str]:
    """Each place where two JSON values differ.

    >>> list(differences({"a": 1, "b": 2}, {"a": 1, "b": 3}))
    ['$.b: 2 -> 3']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key), new.get(key), f"{path}.{key}")
    elif old != new:
        yield f"{path}: {_shown(old)} -> {_shown(new)}"


def past_of(store: Store) -> Past:
    """What the journal tells of earlier sessions."""
    (sessions, seconds) = store.one("SELECT count(*), coalesce(sum(seconds), 0) FROM sessions")
    if not sessions:
        return Past()
    from streamgen.control.agent import Reward, Trial

    progress = store.progress()
    traces = [left for left in progress.open.values() if left]
    return Past(
        int(sessions),
        sorted(progress.open),
        progress.following,
        dict(_paid_calls(store, progress)),
        frozenset(chain.from_iterable(left.accepted for left in traces)),
        frozenset(chain.from_iterable(left.surplus for left in traces)),
        float(seconds or 0) / 60,
        [msgspec.json.decode(_blob(body), type=Trial) for (body,) in store.read("SELECT body FROM trials ORDER BY id")],
        [
            (int(trial or 0), msgspec.json.decode(_blob(body), type=Reward))
            for trial, body in store.read("SELECT trial, body FROM rewards ORDER BY n")
        ],
        [
            (int(ticket or 0), msgspec.json.decode(_blob(settings)))
            for ticket, settings in store.read("SELECT ticket, settings FROM retunes ORDER BY ticket")
        ],
        _bad_rows(store),
        _place(store, min(progress.open, default=progress.following)),
        moments_of(store),
    )


def memories_of(store: Store, stage: str, past: Past) -> Iterator[list[Memory]]:
    """What a stage kept, a page at a time; with their ids where the tickets come again."""
    again = frozenset(past.unsettled)
    for page in store.memories(stage):
        yield [
            Memory(body, id_ if (ticket := ticket_of(id_)) in again or ticket >= past.following else None)
            for id_, body in page
        ]


def ticket_of(id_: str) -> int:
    """The ticket that a record comes from.

    >>> ticket_of("17.0/b")
    17
    """
    return int(_TICKET.match(id_)[0])  # type: ignore[index]  # every id begins with it


def _place(store: Store, first: int) -> Place | None:
    """The last noted place of the source that is not behind the first row that is needed."""
    found = store.read("SELECT row, at FROM places WHERE row <= ? ORDER BY row DESC LIMIT 1", first)
    return Place(int(found[0][0] or 0), msgspec.json.decode(_blob(found[0][1]))) if found else None


def _paid_calls(store: Store, progress: Progress) -> Iterator[tuple[CallKey, Response]]:
    """The calls of tickets that are not settled."""
    for page in sorted(progress.holders):
        for call in store.calls(page):
            if call.ticket in progress.open:
                yield (call.ticket, call.stage, call.record, call.n), stored_response(bytes(call.response))


def _bad_rows(store: Store) -> int:
    (count,) = store.one("SELECT count(*) FROM letters WHERE stage = ?", SOURCE)
    return int(count or 0)


def _model(spec: object) -> Value:
    if not isinstance(spec, ModelSpec):
        return {"provider": type(spec).__name__}
    names = sorted({lane.model or "" for lane in spec.lanes})
    return {"provider": spec.provider, "model": names if len(names) > 1 else names[0] or None, "path": spec.path}


def _controller(recipe: Recipe) -> Value:
    """What it began with is in the journal."""
    return {name: value for name, value in _settings(recipe.controller, recipe).items() if name != "warm_start"}


def _part(part: Part, recipe: Recipe) -> Value:
    return {"type": _named(part.type), **_settings(part.settings, recipe)}


def _settings(settings: msgspec.Struct | None, recipe: Recipe) -> dict[str, Value]:
    """As JSON; paths inside the recipe's folder are taken relative to it, so that the folder may move."""
    if settings is None:
        return {}
    text = msgspec.json.encode(settings, enc_hook=_named).decode()
    prefix = msgspec.json.encode(f"{recipe.directory}/").decode()[1:-1]
    values: dict[str, Value] = msgspec.json.decode(text.replace(prefix, ""))
    return values


def _named(thing: str | Callable[..., Any]) -> str:
    if isinstance(thing, str):
        return thing
    return f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', type(thing).__qualname__)}"


def _shown(value: Value) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _blob(cell: object) -> bytes:
    return cell if isinstance(cell, bytes) else str(cell).encode()
