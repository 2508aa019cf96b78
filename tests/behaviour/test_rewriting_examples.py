"""The example recipes that make texts of texts without a model, run as they stand: exact counts."""

from __future__ import annotations

from pathlib import Path

import msgspec

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
