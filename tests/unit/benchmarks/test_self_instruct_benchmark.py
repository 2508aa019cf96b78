from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import streamgen
from benchmarks.self_instruct import greatest_rouge, outcomes, shares


async def test_ends_of_tickets_are_counted_by_reason(tmp_path: Path) -> None:
    recipe = {
        "source": {"type": "list", "rows": [{"text": text} for text in ("a b c", "a", "b", "a b c d e")]},
        "stages": [{"name": "size", "type": "length", "column": "text", "min_words": 2, "max_words": 4}],
    }
    async with streamgen.open(recipe, directory=tmp_path / "run") as run:
        async for _ in run:
            pass
    assert outcomes(tmp_path / "run/run.db") == {"accepted": 1, "too_short": 2, "too_long": 1}


def test_shares_are_of_all_tickets() -> None:
    assert shares(Counter(accepted=3, echo=1)).split() == ["accepted", "3", "75.0%", "echo", "1", "25.0%"]


def test_the_greatest_rouge_is_over_seeds_and_what_was_made() -> None:
    assert greatest_rouge(["a b c d"], ["x y", "a b y z"]) == pytest.approx(0.5)
    assert greatest_rouge(["q"], ["x y", "x y"]) == 1.0
    assert greatest_rouge(["q"], []) == 0.0
