"""Every built-in metric in a run, its resume, its summary and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import streamgen
from streamgen import registry
from streamgen.record import Value
from streamgen.report import write_report

ROWS = [
    {"text": f"Will it {'rain' if n % 2 else 'snow'} in town {n % 11} at {n} o'clock?", "label": "xy"[n % 2]}
    for n in range(60)
]


def recipe(folder: Path, accept: int) -> streamgen.Recipe:
    real = folder / "real.jsonl"
    real.write_bytes(b"\n".join(map(msgspec.json.encode, ROWS[:10])))
    given = {"column": "text", "reference": "real.jsonl", "test": "real.jsonl", "warm_up": 20, "by": ["label"]}
    metrics = []
    for name in registry.BUILTIN["metrics"]:
        struct = registry.settings_type(registry.find("metrics", name))
        assert struct is not None
        own: dict[str, Value] = {key: given[key] for key in struct.__struct_fields__ if key in given}
        metrics.append({"type": name, **own, **({"column": "label"} if name == "class_balance" else {})})
    return streamgen.Recipe.parse(
        {
            "source": {"type": "list", "rows": ROWS},
            "stages": [{"name": "new", "type": "novelty", "column": "text", "threshold": 1.0, "scored": True}],
            "metrics": metrics,
            "run": {"accept": accept, "ordered": True},
        },
        folder,
    )


def measured(folder: Path, run: Path, accept: int) -> dict[str, Any]:
    statistics = streamgen.run(recipe(folder, accept), directory=run).statistics
    assert statistics.accepted == accept
    return msgspec.json.decode(msgspec.json.encode(statistics.metrics))  # type: ignore[no-any-return]


def test_a_resumed_run_measures_what_one_without_a_break_does(tmp_path: Path) -> None:
    whole = measured(tmp_path, tmp_path / "whole", 50)
    measured(tmp_path, tmp_path / "two", 23)
    resumed = measured(tmp_path, tmp_path / "two", 50)
    assert set(whole) == set(registry.BUILTIN["metrics"])
    assert resumed.pop("diversity") == pytest.approx(whole.pop("diversity"), abs=1e-9)
    assert resumed == whole
    assert whole["lengths"]["words"]["count"] == 50
    assert whole["tstr"]["accuracy"] == 1.0
    assert whole["scores"]["new"]["count"] == 50


def test_the_report_shows_every_metric_whatever_its_shape(tmp_path: Path) -> None:
    measured(tmp_path, tmp_path / "run", 30)
    page = write_report(tmp_path / "run").read_text()
    for name in ("flesch_reading_ease", "vendi", "self_bleu", "resemblance", "macro_f1", "repeated_8", "over_time"):
        assert name in page
    for name in registry.BUILTIN["metrics"]:
        assert f"<caption>{name}" in page or name == "constraints"  # which has nothing to tell here
