"""The example recipes of methods that make texts of texts, or of nothing, run as they stand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streamgen.opening import open_run
from streamgen.recipe import Recipe
from streamgen.record import Record

METHODS = Path(__file__).parents[2] / "examples" / "methods"


async def accepted(name: str) -> list[Record]:
    """What comes out; without its file, so that the run needs no directory."""
    recipe = msgspec.structs.replace(Recipe.load(METHODS / f"{name}.toml"), sinks=())
    async with open_run(recipe) as run:
        records = [record async for record in run]
        assert run.statistics().failed == 0
    return records


async def test_three_noisy_texts_stand_beside_each_original() -> None:
    records = await accepted("noise")
    assert len(records) == 24
    assert len({record["text"] for record in records}) == 24


async def test_mixtures_stay_within_their_topic() -> None:
    records = await accepted("mix")
    assert len(records) == 8
    topics = {row["question"]: row["topic"] for row in map(msgspec.json.decode, rows("mix"))}
    assert [record["topic"] for record in records] == [topics[record["question"]] for record in records]


def rows(name: str) -> list[bytes]:
    return (METHODS / f"{name}.jsonl").read_bytes().splitlines()


@pytest.mark.model
@pytest.mark.parametrize(
    ("name", "least", "column"),
    [("magpie", 5, "output"), ("backtranslate", 1, "instruction"), ("augment", 2, "made_by"),
     ("translate", 3, "text_translated")],
)  # fmt: skip
async def test_the_examples_with_a_model_accept_some(name: str, least: int, column: str) -> None:
    pytest.importorskip("xllamacpp")
    records = await accepted(name)
    assert len(records) >= least
    assert all(record[column].strip() for record in records)
