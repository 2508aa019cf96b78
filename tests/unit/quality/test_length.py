from __future__ import annotations

import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.length import LengthSettings, length
from streamgen.record import Record


def judged(text: object, **bounds: int) -> Result:
    record = Record("1", {"text": text})
    return length(record, StageContext("length", LengthSettings(column="text", **bounds)))


@pytest.mark.parametrize(
    ("text", "bounds", "reason"),
    [
        ("one two", {"min_words": 3}, "too_short"),
        ("one two three", {"max_words": 2}, "too_long"),
        ("abc", {"min_characters": 4}, "too_short"),
        ("  abc  ", {"min_characters": 4}, "too_short"),
        ("abcde", {"max_characters": 4}, "too_long"),
        ("", {"min_words": 1}, "too_short"),
        (None, {"min_characters": 1}, "too_short"),
        ("天气很好", {"max_words": 3}, "too_long"),
    ],
)
def test_out_of_bounds_is_dropped_with_the_reason(text: object, bounds: dict[str, int], reason: str) -> None:
    assert judged(text, **bounds) == Drop(reason)


@pytest.mark.parametrize("text", ["one two", 12, "", "x " * 100_000])
def test_bounds_are_inclusive_and_none_bounds_nothing(text: object) -> None:
    assert judged(text) == Record("1", {"text": text})
    assert judged("one two", min_words=2, max_words=2, min_characters=7, max_characters=7)


def test_bounds_that_nothing_passes_are_refused() -> None:
    with pytest.raises(ValueError, match="min_words: 5 is above max_words = 3"):
        LengthSettings(column="text", min_words=5, max_words=3).check()
