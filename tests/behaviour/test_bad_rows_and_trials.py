"""A source's bad rows belong to trials like any other ticket."""

from pathlib import Path

import msgspec

import streamgen
from streamgen.recipe import Recipe
from streamgen.testing import scripted


def test_a_trial_with_bad_rows_gets_its_reward(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"prompt": "p{n}"}}\n' if n % 3 else "no row\n" for n in range(12)))
    raw = {
        "models": {"main": {"base_url": "http://127.0.0.1:1/v1", "model": "x"}},
        "source": {"type": "jsonl", "path": str(rows)},
        "stages": [{"name": "ask", "type": "chat", "model": "main", "prompt": "{{ prompt }}", "output": "said"}],
        "controller": {
            "batch": 4,
            "trials": 3,
            "reward": {"type": "callback", "function": lambda records: {"count": len(records)}, "metric": "count"},
            "space": {"ask.temperature": {"low": 0.1, "high": 1.0}},
        },
    }
    recipe = msgspec.structs.replace(Recipe.parse(raw), models={"main": scripted(["yes"])})
    summary = streamgen.run(recipe)
    assert summary.trials is not None
    values = [result.reward.value for result in summary.trials.trials if result.reward]
    assert values == [2.0, 3.0, 3.0]  # rows 0, 3, 6 and 9 are bad
    assert (summary.statistics.accepted, summary.statistics.failed) == (8, 4)
