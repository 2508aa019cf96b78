"""Writes rows to a file, or to the files of a folder: in order or shuffled, whole or split, all or nothing."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from streamgen.errors import RecipeError
from streamgen.export.containers import Container, WriteRows, size_of
from streamgen.export.families import FAMILY, Families, value_key
from streamgen.export.rows import Rows
from streamgen.export.shuffle import shuffled
from streamgen.export.splits import assigned
from streamgen.export.turns import Row
from streamgen.record import Record

_PAGE_ROWS = 8192
_PAGE_BYTES = 16 << 20

Placed: TypeAlias = tuple[int, Sequence[Row]]
"""Rows of one record and the number of their file."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What goes where. Without `shares` all goes into one file; `seed` decides the splits and, if asked, the order."""

    shares: Mapping[str, Fraction] = {}
    stratify: str | None = None
    group_by: str = FAMILY
    shuffle: bool = False
    seed: int = 0


class Out(NamedTuple):
    """A file to write: where, and what it will be called."""

    path: Path
    name: str


def write_rows(rows: Rows, container: Container, outs: Sequence[Out], order: Order, scratch: Path) -> list[int]:
    """Write the rows, one file a share, in the order of `order.shares`. How many records each file got.

    Raises RecipeError where a split would be empty, or a record does not fit and is not to be left out.
    """
    places = _looked_at(rows, container, order)
    counts = [0] * len(outs)
    with ExitStack() as stack:
        pages = [_Page(stack.enter_context(container.open(out.path, out.name))) for out in outs]
        placed = _placed(rows, places)
        for number, its_rows in shuffled(placed, order.seed, scratch) if order.shuffle else placed:
            pages[number].add(its_rows)
            counts[number] += 1
        for page in pages:
            page.flush()
    return counts


def _looked_at(rows: Rows, container: Container, order: Order) -> Sequence[int] | None:
    """The file of each record, where there are several; in the same pass the container sees what it needs to."""
    if not order.shares and not container.looks_first:
        return None
    page = _Page(container.look)
    families, strata = Families(order.group_by), _Strata(order.stratify)
    for record, its_rows in rows:
        page.add(its_rows)
        if order.shares:
            families.see(record)
            strata.see(record)
    page.flush()
    return _split(families.numbers(), strata.numbers, order) if order.shares and rows.written else None


def _split(families: Sequence[int], strata: Sequence[int], order: Order) -> Sequence[int]:
    places = assigned(families, strata, list(order.shares.values()), order.seed)
    found = set(places)
    for number, (name, share) in enumerate(order.shares.items()):
        if number not in found:
            ((_, largest),) = Counter(families).most_common(1)
            raise RecipeError(
                f"the split {name} ({float(share):g} of {len(places)} records) would be empty; the largest family "
                f"has {largest} records. Give it a larger share, or take families apart with --group-by none"
            )
    return places


def _placed(rows: Rows, places: Sequence[int] | None) -> Iterator[Placed]:
    for number, (_, its_rows) in enumerate(rows):
        yield (0 if places is None else places[number]), its_rows


class _Strata:
    """Numbers of the values that a column has; all records are of one stratum where none is named."""

    def __init__(self, column: str | None) -> None:
        self.numbers = array("q")
        self._column = column
        self._known: dict[object, int] = {}

    def see(self, record: Record) -> None:
        key = None if self._column is None else value_key(record, self._column, "--stratify")
        self.numbers.append(self._known.setdefault(key, len(self._known)))


class _Page:
    """Rows that wait until there are enough of them to be handed on together."""

    def __init__(self, hand_on: WriteRows) -> None:
        self._hand_on = hand_on
        self._rows: list[Row] = []
        self._bytes = 0

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._rows.append(row)
            self._bytes += size_of(row)
        if len(self._rows) >= _PAGE_ROWS or self._bytes >= _PAGE_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._hand_on(self._rows)
            self._rows, self._bytes = [], 0
