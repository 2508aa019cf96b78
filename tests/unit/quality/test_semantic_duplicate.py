from __future__ import annotations

import numpy as np
import pytest
from asking import asking
from judging import ODD

from streamgen.context import Context
from streamgen.engine.stage import Drop, Memory
from streamgen.quality.semantic_duplicate import SemanticDuplicate, SemanticDuplicateSettings, Vectors
from streamgen.record import Record
from streamgen.testing import Answers, Scripted, embedded

SETTINGS = SemanticDuplicateSettings(model="m", column="text")
EAST, NORTH, NEARLY_EAST = embedded([2.0, 0.0]), embedded([0.0, 5.0]), embedded([3.0, 0.3])


def given(answers: Answers, **more: object) -> tuple[SemanticDuplicate, Context[SemanticDuplicateSettings], Scripted]:
    settings = SemanticDuplicateSettings(**{"model": "m", "column": "text", **more})  # type: ignore[arg-type]
    context, model = asking(settings, answers)
    return SemanticDuplicate(settings), context, model


async def test_a_text_that_means_what_an_earlier_one_does_is_dropped() -> None:
    stage, context, model = given([EAST, NORTH, NEARLY_EAST, EAST])
    records = [Record(str(n), {"text": f"text {n}"}) for n in range(4)]
    results = [await stage(record, context) for record in records]
    assert results == [
        records[0].scored("stage", 0.0),
        records[1].scored("stage", 0.0),
        Drop("semantic_duplicate"),
        Drop("semantic_duplicate"),
    ]
    assert [request.texts for request in model.requests] == [(f"text {n}",) for n in range(4)]  # type: ignore[union-attr]


async def test_below_the_threshold_the_cosine_is_the_score() -> None:
    stage, context, _ = given([EAST, NEARLY_EAST], threshold=0.999)
    await stage(Record("0", {"text": "a"}), context)
    second = await stage(Record("1", {"text": "b"}), context)
    assert isinstance(second, Record)
    assert second.meta.scores["stage"] == pytest.approx(10 / 101**0.5, abs=1e-6)


async def test_only_the_newest_are_compared_where_the_pool_is_bounded() -> None:
    stage, context, _ = given([EAST, NORTH, EAST], pool=1)
    results = [await stage(Record(str(n), {"text": "a"}), context) for n in range(3)]
    assert all(isinstance(result, Record) for result in results)
    assert repr(stage) == "<SemanticDuplicate of 1 records>"


async def test_blank_texts_cost_nothing_and_long_ones_are_cut() -> None:
    stage, context, model = given([EAST, NORTH], max_characters=5)
    for text in ("", "  \n", None):
        assert await stage(Record("0", {"text": text}), context) == Record("0", {"text": text})
    await stage(Record("1", {"text": "x" * 10_000_000}), context)
    await stage(Record("2", {"text": 12}), context)
    assert [request.texts for request in model.requests] == [("xxxxx",), ("12",)]  # type: ignore[union-attr]


async def test_odd_texts_are_ordinary() -> None:
    stage, context, _ = given(lambda request: EAST)
    for text in ODD:
        await stage(Record("0", {"text": text}), context)


async def test_what_was_kept_is_known_in_the_next_session_and_no_copy_of_itself() -> None:
    stage, context, _ = given([NEARLY_EAST, NORTH])
    kept: list[tuple[str, bytes]] = []
    stage.keep = lambda id_, body: kept.append((id_, body))
    first, second = [await stage(Record(n, {"text": n}), context) for n in "01"]
    again, context, _ = given([NEARLY_EAST, NORTH, EAST])
    again.recall([Memory(kept[0][1]), Memory(kept[1][1], "1")])
    assert await again(Record("0", {"text": "0"}), context) == Drop("semantic_duplicate")
    assert await again(Record("1", {"text": "1"}), context) == second
    assert await again(Record("2", {"text": "2"}), context) == Drop("semantic_duplicate")
    assert isinstance(first, Record)


async def test_vectors_of_another_length_are_an_error() -> None:
    stage, context, _ = given([EAST, embedded([1.0, 2.0, 3.0])])
    await stage(Record("0", {"text": "a"}), context)
    with pytest.raises(ValueError, match="a vector of 3 numbers among those of 2: another model"):
        await stage(Record("1", {"text": "b"}), context)


def test_vectors_are_bounded_by_the_pool_and_found_whatever_was_freed() -> None:
    vectors, rng = Vectors(), np.random.default_rng(0)
    rows = rng.normal(size=(5000, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for n, row in enumerate(rows):
        newest = rows[max(0, n - 100) : n]
        assert vectors.nearest(row) == pytest.approx(max(newest @ row, default=0.0), abs=1e-6)
        vectors.add(row, 100)
    assert len(vectors) == 100
    assert len(vectors._rows) == 1024
