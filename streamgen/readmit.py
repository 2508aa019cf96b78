"""Lets a resumed ticket past its own shadow: a record that was accepted before is no duplicate of itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

import msgspec

from streamgen.engine.graph import Graph
from streamgen.engine.stage import Drop, Handler, Kind, Result, Stage, Stateful, kind_of
from streamgen.record import Record

_STEP = re.compile(r"(?=[./])")


def readmitting(graph: Graph, accepted: Set[str]) -> Graph:
    """The graph, in which stages with a memory keep what led to these accepted records.

    A ticket that was accepted in part and then cut off runs again, through stages that remember what it gave.
    """
    if not accepted:
        return graph
    passed = frozenset(_ancestors(accepted))
    return Graph(tuple(_stage(stage, passed) for stage in graph.stages))


def _stage(stage: Stage, passed: Set[str]) -> Stage:
    kind = kind_of(stage.handler)
    if not isinstance(stage.handler, Stateful) or kind is Kind.AWAITING:
        return stage
    wrap = _batch if kind is Kind.BATCH else _inline
    return msgspec.structs.replace(stage, handler=wrap(stage.handler, passed))


def _batch(handler: Callable[..., Any], passed: Set[str]) -> Handler:
    def readmit(records: Sequence[Record], context: Any) -> Sequence[Result]:
        results = handler(records, context)
        if len(results) != len(records):
            return results  # type: ignore[no-any-return]  # the engine says what is wrong with it
        return [_kept(result, record, passed) for result, record in zip(results, records, strict=True)]

    return readmit


def _inline(handler: Callable[..., Any], passed: Set[str]) -> Handler:
    def readmit(record: Record, context: Any) -> Result:
        return _kept(handler(record, context), record, passed)

    return readmit


def _kept(result: Result, record: Record, passed: Set[str]) -> Result:
    is_dropped = result is None or result is False or isinstance(result, Drop)
    return True if is_dropped and record.id in passed else result


def _ancestors(ids: Iterable[str]) -> Iterable[str]:
    """The ids and those of all records that they come from.

    >>> sorted(_ancestors(["5.0/b"]))
    ['5', '5.0', '5.0/b']
    """
    for id_ in ids:
        steps = _STEP.split(id_)
        for count in range(1, len(steps) + 1):
            yield "".join(steps[:count])
