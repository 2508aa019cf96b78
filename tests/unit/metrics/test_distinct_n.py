from __future__ import annotations

import numpy as np
import pytest

from streamgen.metrics.distinct_n import DistinctN, DistinctNSettings, KMinimumValues
from streamgen.record import Record


def test_shares_of_distinct_ngrams() -> None:
    metric = DistinctN(DistinctNSettings(column="text"))
    metric.update([Record(columns={"text": text}) for text in ("a b a b", "a", "", None)] + [Record()])
    assert metric.result() == {
        "distinct_1": 2 / 5,
        "distinct_2": 2 / 3,
        "distinct_3": 1.0,
        "ngrams_1": 5,
        "ngrams_2": 3,
        "ngrams_3": 2,
    }


def test_no_ngram_has_no_share() -> None:
    metric = DistinctN(DistinctNSettings(column="text", n=(3,)))
    metric.update([Record(columns={"text": "two words"})])
    assert metric.result() == {"distinct_3": None, "ngrams_3": 0}


def test_beyond_the_kept_hashes_the_number_is_estimated_within_its_error() -> None:
    metric = DistinctN(DistinctNSettings(column="text", n=(1,), kept=1024))
    for start in range(0, 50_000, 1000):
        metric.update([Record(columns={"text": " ".join(f"w{i}" for i in range(start, start + 1000))})] * 2)
    error = metric.result()["distinct_1"] / 0.5 - 1
    assert 0 < abs(error) < 4 / 1024**0.5


def test_the_sketch_keeps_no_more_than_k_hashes() -> None:
    sketch = KMinimumValues(16)
    sketch.update(np.arange(1000, dtype=np.uint64))
    sketch.update(np.arange(1000, dtype=np.uint64))
    assert sketch._settled().tolist() == list(range(16))
    assert sketch.total == 2000


@pytest.mark.parametrize("count", [0, 1, 15])
def test_below_k_the_number_is_exact(count: int) -> None:
    sketch = KMinimumValues(16)
    sketch.update(np.arange(count, dtype=np.uint64))
    assert sketch.distinct() == count
