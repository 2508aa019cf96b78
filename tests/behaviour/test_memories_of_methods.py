"""What generating stages remember is there again in the next session of a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import streamgen
from streamgen.llm.model import Request
from streamgen.record import Record
from streamgen.testing import ScriptedServer, prompt_of


def answer(request: Request) -> str:
    prompt = prompt_of(request)
    if "this field" in prompt:
        return "Roses\nTomatoes"
    return "Pruning\nBlooming" if "Roses" in prompt else "Seedlings\nBlight"


async def session(recipe: dict[str, Any], directory: Path, accept: int) -> list[Record]:
    async with streamgen.open(recipe, directory=directory, accept=accept) as run:
        return [record async for record in run]


async def test_a_tree_of_topics_and_quotas_go_on_in_the_next_session(tmp_path: Path) -> None:
    async with ScriptedServer(answer) as server:
        recipe = {
            "models": {"main": {"base_url": server.base_url, "model": "scripted"}},
            "stages": [
                {"name": "topic", "type": "taxonomy", "model": "main", "domain": "Gardens", "branches": 2, "asks": 1},
                {"name": "wanted", "type": "quota", "column": "topic", "other": 2},
            ],
            "run": {"accept": 3},
        }
        first = await session(recipe, tmp_path / "run", 3)
        asked = server.counters.requests
        both = await session(recipe, tmp_path / "run", 8)
        assert server.counters.requests == asked == 3
    counts = Counter(record["topic"] for record in {record.id: record for record in [*first, *both]}.values())
    assert counts == dict.fromkeys(("Pruning", "Blooming", "Seedlings", "Blight"), 2)
