"""A stage: what a handler is, what it may answer, and the bounds that it runs in."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from streamgen.hints import hint_of_first
from streamgen.record import Record


class Drop(msgspec.Struct, frozen=True):
    """A handler's answer when the record goes no further. `reason` is a short snake_case word that can be counted."""

    reason: str


Result: TypeAlias = Record | Drop | bool | Iterable[Record] | None
"""What a handler makes of one record: a record (map), several (fan-out), or none.

`True` keeps the record as it is; `False`, `None` and an empty iterable drop it for the stage's own name.
"""

AwaitingHandler: TypeAlias = Callable[[Record, Any], Awaitable[Result]]
"""`async def stage(record, context)`: may wait; `parallel` of them run at once."""

InlineHandler: TypeAlias = Callable[[Record, Any], Result]
"""`def stage(record, context)`: pure work on one record, run inline."""

BatchHandler: TypeAlias = Callable[[Sequence[Record], Any], Sequence[Result]]
"""`def stage(records: Sequence[Record], context)`: pure work on a micro-batch, one result for each record.

All of its records belong to one trial. When it raises, its records are handed in again one by one,
so it must raise before it changes any state of its own.
"""

Handler: TypeAlias = AwaitingHandler | InlineHandler | BatchHandler


@runtime_checkable
class Stateful(Protocol):
    """A stage with a memory that is made of accepted records, and survives a resume by being shown all of them."""

    def restore(self, records: Sequence[Record]) -> None:
        """Take in records that an earlier session accepted, as if they had passed through."""
        ...


class Memory(NamedTuple):
    """What a stage kept of a record that passed it.

    `record` is its id where its ticket was not settled and comes again: that record must not be found to be a copy of
    itself. It is None for all others.
    """

    body: bytes
    record: str | None = None


Keep: TypeAlias = Callable[[str, bytes], None]
"""Takes the id of a record that passed, and what is kept of it."""


@runtime_checkable
class Remembering(Protocol):
    """A stage whose memory is kept piece by piece as records pass, whatever becomes of them later.

    The run sets `keep`; the stage calls it for each record that passes and is remembered.
    """

    keep: Keep

    def recall(self, memories: Sequence[Memory]) -> None:
        """Take in, before the first record, some more of what earlier sessions kept, in order."""
        ...


def forget(record: str, body: bytes) -> None:
    """The `keep` of a stage outside of a run."""


class Kind(Enum):
    """How a handler is called."""

    AWAITING = "awaiting"
    INLINE = "inline"
    BATCH = "batch"


def kind_of(handler: Handler) -> Kind:
    """Read off the handler's signature: `async def` awaits, a first parameter annotated as a sequence takes batches.

    Raises PluginError where that annotation cannot be read.
    """
    function: Any = handler
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    if inspect.iscoroutinefunction(function):
        return Kind.AWAITING
    return Kind.BATCH if _takes_sequence(function) else Kind.INLINE


def _takes_sequence(function: Callable[..., Any]) -> bool:
    return typing.get_origin(hint_of_first(function)) in (list, tuple, Sequence)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the graph: a handler, its inputs, its bounds."""

    name: str
    handler: Handler
    inputs: tuple[str, ...] = ()
    parallel: int = 1  # awaiting handlers in flight
    batch: int = 64  # most records that an inline or batch handler takes per wake-up
    capacity: int = 256  # records that may wait in the mailbox
    capacity_bytes: int | None = None  # and about how many bytes of them
    ordered: bool = False  # results leave in the order in which records came
