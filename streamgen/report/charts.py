"""Bars of measures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from streamgen.record import Value
from streamgen.report.text import number, shown

_ROWS = 30  # of one measure
_BLOCKS = 40  # of one metric


class Measure(msgspec.Struct, frozen=True):
    """One line of a metric; `share` (0 to 1) is the length of its bar, None where lengths would say nothing."""

    name: str
    value: str
    share: float | None = None


class Block(msgspec.Struct, frozen=True):
    """Measures that belong together; `more` are left out."""

    title: str
    measures: Sequence[Measure]
    more: int = 0


def blocks_of(name: str, result: Value) -> list[Block]:
    """A metric's result, whatever its shape, as blocks of lines: one for each object in it."""
    return list(_blocks(name, result))[:_BLOCKS]


def _blocks(title: str, value: Value, depth: int = 0) -> Iterator[Block]:
    if not isinstance(value, Mapping):
        yield Block(title, [Measure("", shown(value, 200))])
        return
    plain = {str(name): item for name, item in value.items() if not isinstance(item, Mapping)}
    if plain:
        longest = max(plain.values()) if depth and _are_counts(plain) else 0
        lines = [Measure(shown(k, 80), _value(v), v / longest if longest else None) for k, v in plain.items()]
        yield Block(title, lines[:_ROWS], max(0, len(lines) - _ROWS))
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _blocks(f"{title}: {shown(str(name), 80)}", item, depth + 1)


def _are_counts(values: Mapping[str, Value]) -> bool:
    """Whether these are all of one unit, so that bars compare them."""
    return len(values) > 1 and all(type(value) is int and value >= 0 for value in values.values())


def _value(value: Value) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return number(value) if is_number or value is None else shown(value, 200)
