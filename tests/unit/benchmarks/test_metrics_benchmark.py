from __future__ import annotations

from itertools import islice

import pytest

from benchmarks import metrics
from streamgen import registry


def test_every_metric_is_measured() -> None:
    assert set(metrics.NAMES) == set(registry.BUILTIN["metrics"])


def test_each_metric_takes_the_benchmarks_records(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.costs(count=40, rounds=1)
    said = capsys.readouterr().out
    assert all(f"\n{name} " in said for name in (*metrics.NAMES, "default together"))


def test_records_are_of_the_length_that_is_told() -> None:
    assert {len(record.text("text").split()) for record in islice(metrics.records(100), 50)} == {100}
