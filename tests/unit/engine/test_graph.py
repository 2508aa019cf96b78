"""Graphs: order, readers, and what is refused."""

from __future__ import annotations

import pytest

from streamgen.engine.graph import SINK, SOURCE, build_graph
from streamgen.engine.stage import Stage
from streamgen.errors import GraphError


def stage(name: str, *inputs: str, **bounds: int) -> Stage:
    return Stage(name=name, handler=lambda record, context: record, inputs=inputs, **bounds)


def test_stages_read_the_one_before() -> None:
    graph = build_graph([stage("a"), stage("b"), stage("c")])
    assert [s.inputs for s in graph.stages] == [(SOURCE,), ("a",), ("b",)]
    assert [graph.readers(name) for name in (SOURCE, "a", "b", "c")] == [("a",), ("b",), ("c",), (SINK,)]


def test_a_diamond_has_two_readers_and_two_writers() -> None:
    graph = build_graph(
        [stage("end", "left", "right"), stage("left", "top"), stage("right", "top"), stage("top", SOURCE)]
    )
    assert graph.readers("top") == ("left", "right")
    assert [graph.writers(name) for name in ("top", "left", "end", SINK)] == [1, 1, 2, 1]
    names = [s.name for s in graph.stages]
    assert names.index("top") < min(names.index("left"), names.index("right")) and names[-1] == "end"


def test_several_ends_all_lead_to_the_sink() -> None:
    assert build_graph([stage("a"), stage("b", "a"), stage("c", "a")]).writers(SINK) == 2
    assert build_graph([]).readers(SOURCE) == (SINK,)


@pytest.mark.parametrize(
    ("stages", "message", "path"),
    [
        (
            [stage("a"), stage("b", "aa")],
            "'b' reads 'aa', which is no stage; did you mean 'a'? known: a, b, source",
            "[1].inputs",
        ),
        ([stage("a"), stage("a")], "the name 'a' is taken", "[1].name"),
        ([stage("sink")], "the name 'sink' is taken", "[0].name"),
        ([stage("a", "c"), stage("b", "a"), stage("c", "b")], "the stages form a cycle: ", "$.stages"),
        ([stage("a", "a")], "the stages form a cycle: a -> a", "$.stages"),
        ([stage("a", parallel=0)], "parallel of stage 'a' is 0; it must be at least 1", "[0].parallel"),
        ([stage("a"), stage("b", capacity_bytes=0)], "capacity_bytes of stage 'b' is 0", "[1].capacity_bytes"),
    ],
)
def test_a_graph_that_cannot_run_is_refused_with_a_path(stages: list[Stage], message: str, path: str) -> None:
    with pytest.raises(GraphError) as caught:
        build_graph(stages)
    assert message in str(caught.value)
    assert path in caught.value.path
