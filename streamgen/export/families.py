"""Which records belong together, so that no split tells another one's answers."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator, Sequence

import msgspec

from streamgen.errors import RecipeError
from streamgen.record import Record

FAMILY, NOTHING = "family", "none"


class Families:
    """Numbers of families: records of one ticket, or with a parent in common, and those with the same group.

    `group_by` is "family", "none" (every record is alone), or a column whose value joins families.
    """

    def __init__(self, group_by: str = FAMILY) -> None:
        self._group_by = group_by
        self._node: dict[Hashable, int] = {}  # of a ticket or a group
        self._above = array("q")  # the tree of joined nodes; a root is above itself
        self._of_record = array("q")

    def see(self, record: Record) -> None:
        """Take note of the next record. Raises RecipeError where it lacks the column to group by."""
        nodes = [self._number(key) for key in self._keys(record)]
        for node in nodes[1:]:
            self._above[self._root(node)] = self._root(nodes[0])
        self._of_record.append(nodes[0] if nodes else self._new())

    def numbers(self) -> Sequence[int]:
        """The family of each record that was seen, in order."""
        return array("q", map(self._root, self._of_record))

    def _keys(self, record: Record) -> Iterator[Hashable]:
        if self._group_by == NOTHING:
            return
        # An id is the ticket's number and, behind dots, the child's index at each fan-out.
        yield from (_ticket(name) for name in (record.id, *record.meta.parents) if name)
        if self._group_by != FAMILY:
            yield ("group", value_key(record, self._group_by, "--group-by"))

    def _number(self, key: Hashable) -> int:
        return self._node[key] if key in self._node else self._node.setdefault(key, self._new())

    def _new(self) -> int:
        self._above.append(len(self._above))
        return len(self._above) - 1

    def _root(self, node: int) -> int:
        while self._above[node] != node:
            self._above[node] = node = self._above[self._above[node]]
        return node


def _ticket(id_: str) -> Hashable:
    ticket = id_.partition(".")[0]
    return int(ticket) if ticket.isdecimal() and ticket.isascii() and len(ticket) < 19 else ticket


def value_key(record: Record, column: str, option: str) -> Hashable:
    """The column's value as something to compare by. Raises RecipeError where the record has no such column."""
    if column not in record.columns:
        known = ", ".join(record.columns)
        raise RecipeError(f"{option} {column}: record {record.id} has no such column; its columns: {known}")
    value = record.columns[column]
    return value if isinstance(value, str) else (msgspec.json.encode(value),)
