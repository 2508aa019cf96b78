"""What handlers answer, made into blocks that travel on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from streamgen.engine.ack import Ack, settle_all
from streamgen.engine.mailbox import Block
from streamgen.engine.stage import Drop, Result
from streamgen.record import Record

_KINDS_OF_RESULT = "a record, an iterable of records, Drop(reason), True, False or None"


def children_of(result: Result, record: Record, stage: str) -> Sequence[Record] | Drop:
    """What goes on in the record's place, or why nothing does. Raises TypeError for an answer that is none.

    Records of a fan-out are named after the record that they come from.
    """
    if isinstance(result, Record):
        return (result,)
    if result is True:
        return (record,)
    if isinstance(result, Drop):
        return result
    if result is None or result is False:
        return Drop(stage)
    children = [_child(child, record, index) for index, child in enumerate(_several(result))]
    return children or Drop(stage)


def answers(results: object, records: Sequence[Record]) -> Sequence[Any]:
    """A batch handler's answers, one for each record. Raises TypeError where they are not."""
    if not isinstance(results, Sequence) or isinstance(results, str | bytes):
        raise TypeError(f"a batch handler answers with a sequence of one result a record, not with {_shown(results)}")
    if len(results) != len(records):
        raise TypeError(f"a batch handler answers each record: {len(records)} in, {len(results)} out")
    return results


def spread(groups: Sequence[Sequence[Record] | Record], acks: Sequence[Ack]) -> Block:
    """Results in a row, each with its ack; shares are counted, and what came to nothing is settled."""
    records: list[Record] = []
    kept: list[Ack] = []
    ended: list[Ack] = []
    for group, ack in zip(groups, acks, strict=True):
        if isinstance(group, Record):
            records.append(group)
            kept.append(ack)
        elif group:
            records += group
            kept += (ack,) * len(group)
            ack.live += len(group) - 1
        else:
            ended.append(ack)
    settle_all(ended)
    return Block(records, kept)


def joined(blocks: Sequence[Block]) -> Block:
    """The blocks' records in a row."""
    return Block([r for block in blocks for r in block.records], [a for block in blocks for a in block.acks])


def by_settings(block: Block) -> list[Block]:
    """Neighbours with the same settings together, in order."""
    parts: list[tuple[list[Record], list[Ack]]] = []
    for record, ack in zip(block.records, block.acks, strict=True):
        if not parts or parts[-1][1][-1].settings is not ack.settings:
            parts.append(([], []))
        parts[-1][0].append(record)
        parts[-1][1].append(ack)
    return [Block(*part) for part in parts]


def _child(child: object, record: Record, index: int) -> Record:
    if not isinstance(child, Record):
        raise _wrong(child)
    meta = msgspec.structs.replace(child.meta, parents=(record.id,))
    return Record(f"{record.id}.{index}", child.columns, meta)


def _several(result: object) -> Iterable[object]:
    if not isinstance(result, Iterable) or isinstance(result, str | bytes | Mapping):
        raise _wrong(result)
    return result


def _wrong(result: object) -> TypeError:
    return TypeError(f"a handler answers with {_KINDS_OF_RESULT}, not with {_shown(result)}")


def _shown(result: object) -> str:
    return f"{type(result).__name__}: {repr(result)[:80]}"
