"""How a handler is called is read off its signature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest

from streamgen.engine.stage import Kind, Result, kind_of
from streamgen.record import Record


async def awaits(record: Record, context: object) -> Result: ...
def inline(record: Record, context: object) -> Result: ...
def bare(record, context): ...  # type: ignore[no-untyped-def]
def batch(records: Sequence[Record], context: object) -> Sequence[Result]:
    return ()


def listed(records: list[Record], context: object) -> list[Result]:
    return []


class Awaits:
    async def __call__(self, record: Record, context: object) -> Result: ...


class Batch:
    def __call__(self, records: Sequence[Record], context: object) -> Sequence[Result]:
        return ()

    async def method(self, record: Record, context: object) -> Result: ...


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (awaits, Kind.AWAITING),
        (partial(awaits), Kind.AWAITING),
        (partial(partial(awaits), context=1), Kind.AWAITING),
        (Awaits(), Kind.AWAITING),
        (Batch().method, Kind.AWAITING),
        (inline, Kind.INLINE),
        (bare, Kind.INLINE),
        (lambda record, context: True, Kind.INLINE),
        (batch, Kind.BATCH),
        (listed, Kind.BATCH),
        (partial(batch), Kind.BATCH),
        (Batch(), Kind.BATCH),
    ],
)
def test_a_handlers_kind(handler: Callable[..., object], kind: Kind) -> None:
    assert kind_of(handler) is kind  # type: ignore[arg-type]
