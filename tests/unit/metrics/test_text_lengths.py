from __future__ import annotations

from streamgen.metrics.lengths import Histogram, Lengths, LengthsSettings
from streamgen.record import Record


def test_words_and_characters_of_all_texts() -> None:
    lengths = Lengths(LengthsSettings(column="text"))
    lengths.update([Record(columns={"text": text}) for text in ("one two", "", None, "東京")] + [Record()])
    words = {
        "count": 4,
        "mean": 1.0,
        "min": 0,
        "max": 2,
        "p5": 0,
        "p25": 0,
        "p50": 0,
        "p75": 2,
        "p95": 2,
        "histogram": {"0": 2, "2": 2},
    }
    characters = {
        "count": 4,
        "mean": 2.25,
        "min": 0,
        "max": 7,
        "p5": 0,
        "p25": 0,
        "p50": 0,
        "p75": 2,
        "p95": 7,
        "histogram": {"0": 2, "2": 1, "7": 1},
    }
    assert lengths.result() == {"words": words, "characters": characters, "missing": 1}


def test_no_text_at_all() -> None:
    result = Histogram().result()
    assert (result.pop("count"), result.pop("histogram")) == (0, {})
    assert set(result.values()) == {None}


def test_quantiles_are_exact_below_2048_and_to_a_thousandth_above() -> None:
    histogram = Histogram()
    histogram.update(range(1, 2001))
    result = histogram.result()
    assert (result["p5"], result["p25"], result["p50"], result["p75"], result["p95"]) == (100, 500, 1000, 1500, 1900)
    large = Histogram()
    large.update([1_000_001, 1_000_002, 1_000_003])
    assert large.result()["max"] == 1_000_003
    assert 0.999 * 1_000_002 <= large.result()["p50"] <= 1_000_002


def test_memory_is_bounded_by_the_number_of_doublings() -> None:
    histogram = Histogram()
    histogram.update(range(200_000))
    assert len(histogram._counts) <= 2048 + 7 * 1024
