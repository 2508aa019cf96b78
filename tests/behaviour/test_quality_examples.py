"""The example recipes of filters, run as they stand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streamgen.opening import open_run
from streamgen.recipe import Recipe

METHODS = Path(__file__).parents[2] / "examples" / "methods"


def example(name: str) -> Recipe:
    """Without its file, so that the run needs no directory."""
    return msgspec.structs.replace(Recipe.load(METHODS / f"{name}.toml"), sinks=())


async def test_each_bad_text_of_the_filters_example_is_dropped_for_a_reason_of_its_own() -> None:
    async with open_run(example("filters")) as run:
        records = [record async for record in run]
        clean, *others = run.statistics().engine.stages
    assert len(records) == 6
    assert (clean.received, sum(clean.dropped.values()), len(clean.dropped)) == (22, 13, 13)
    assert {reason.partition(".")[0] for reason in clean.dropped} == {
        "gopher_quality", "gopher_repetition", "c4", "boilerplate", "language", "profanity", "regex", "contamination",
        "one_topic",
    }  # fmt: skip
    assert [dict(stage.dropped) for stage in others] == [{"duplicate": 1}, {"near_duplicate": 1}, {"not_novel": 1}]


@pytest.mark.model
@pytest.mark.parametrize(("name", "least"), [("judge", 3), ("semantic_duplicates", 4)])
async def test_the_examples_with_a_model_accept_some(name: str, least: int) -> None:
    pytest.importorskip("xllamacpp")
    async with open_run(example(name)) as run:
        records = [record async for record in run]
        assert len(records) >= least
        assert run.statistics().failed == 0
