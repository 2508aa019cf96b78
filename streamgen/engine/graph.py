"""The graph as data: stages by name with their inputs, checked before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

import msgspec

from streamgen.engine.stage import Stage
from streamgen.errors import GraphError, suggestion

SOURCE = "source"
SINK = "sink"


class Graph(msgspec.Struct, frozen=True):
    """Stages in an order in which each comes after its inputs. Stages that nobody reads lead to the sink."""

    stages: tuple[Stage, ...]

    def readers(self, name: str) -> tuple[str, ...]:
        """Who reads what `name` emits: stages, or the sink."""
        return tuple(stage.name for stage in self.stages if name in stage.inputs) or (SINK,)

    @property
    def path(self) -> tuple[str, ...]:
        """The stages that every record goes through; none where the graph branches."""
        producers = [SOURCE, *(stage.name for stage in self.stages)]
        is_linear = all(len(self.readers(name)) == 1 for name in producers) and self.writers(SINK) == 1
        return tuple(producers[1:]) if is_linear else ()

    def writers(self, name: str) -> int:
        """How many write to `name`'s mailbox."""
        producers = [SOURCE, *(stage.name for stage in self.stages)]
        return sum(name in self.readers(producer) for producer in producers)


def build_graph(stages: Sequence[Stage]) -> Graph:
    """The checked graph; a stage without inputs reads the one before it, the first one the source.

    Raises GraphError for a name used twice, an unknown input, a bound below 1 or a cycle.
    """
    chained = [_with_inputs(stages, index) for index in range(len(stages))]
    by_name = {stage.name: stage for stage in chained}
    _check_names(chained)
    for index, stage in enumerate(chained):
        _check_inputs(stage, [SOURCE, *by_name], f"$.stages[{index}]")
        _check_bounds(stage, f"$.stages[{index}]")
    return Graph(tuple(by_name[name] for name in _in_order(chained)))


def _with_inputs(stages: Sequence[Stage], index: int) -> Stage:
    stage = stages[index]
    before = stages[index - 1].name if index else SOURCE
    return stage if stage.inputs else msgspec.structs.replace(stage, inputs=(before,))


def _check_names(stages: Sequence[Stage]) -> None:
    seen: set[str] = set()
    for index, stage in enumerate(stages):
        if stage.name in seen or stage.name in (SOURCE, SINK):
            raise GraphError(f"the name {stage.name!r} is taken; each stage needs its own", f"$.stages[{index}].name")
        seen.add(stage.name)


def _check_inputs(stage: Stage, known: Sequence[str], path: str) -> None:
    for name in stage.inputs:
        if name not in known:
            message = f"stage {stage.name!r} reads {name!r}, which is no stage{suggestion(name, known)}"
            raise GraphError(message, f"{path}.inputs")


def _check_bounds(stage: Stage, path: str) -> None:
    for bound in ("parallel", "batch", "capacity", "capacity_bytes"):
        value = getattr(stage, bound)
        if value is not None and value < 1:
            raise GraphError(f"{bound} of stage {stage.name!r} is {value}; it must be at least 1", f"{path}.{bound}")


def _in_order(stages: Sequence[Stage]) -> list[str]:
    """Names in topological order, in the given order where that is one."""
    sorter = TopologicalSorter({stage.name: [n for n in stage.inputs if n != SOURCE] for stage in stages})
    try:
        return list(sorter.static_order())
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise GraphError(f"the stages form a cycle: {cycle}; loops belong inside a stage", "$.stages") from None
