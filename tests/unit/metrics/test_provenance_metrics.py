"""What is measured of scores, verdicts and personal data."""

from __future__ import annotations

import pytest

from streamgen.metrics.constraints import Constraints, ConstraintsSettings
from streamgen.metrics.pii import Pii, PiiSettings
from streamgen.metrics.scores import Scores, ScoresSettings
from streamgen.record import Meta, Record, Value


def scored(*scores: dict[str, float], **settings: Value) -> dict[str, Value]:
    metric = Scores(ScoresSettings(**settings))
    metric.update([Record(str(n), {}, Meta(scores=found)) for n, found in enumerate(scores)])
    return metric.result()


def test_unscored_records_are_counted_apart() -> None:
    told = scored({"judge": 4}, {"judge": 2}, {}, {"judge": float("nan")})["judge"]
    assert (told["count"], told["mean"], told["sd"], told["unscored"]) == (2, 3.0, 1.0, 2)
    assert told["histogram"] == {"2": 1, "4": 1}


def test_a_score_that_is_wished_for_is_told_even_if_it_never_came() -> None:
    told = scored({"other": 1.0}, scores=("judge",))
    assert told.keys() == {"judge"}
    assert (told["judge"]["mean"], told["judge"]["unscored"], told["judge"]["histogram"]) == (None, 1, {})


def test_many_values_become_ten_bars() -> None:
    histogram = scored(*({"s": n / 100} for n in range(100)))["s"]["histogram"]
    assert len(histogram) == 10 and sum(histogram.values()) == 100
    assert next(iter(histogram)) == "0"


def test_of_many_names_the_first_ones_are_measured() -> None:
    assert list(scored({"c": 1, "b": 1}, {"a": 1, "d": 1}, most_names=2)) == ["a", "b"]


def judged(*verdicts: dict[str, str], **settings: Value) -> dict[str, Value]:
    metric = Constraints(ConstraintsSettings(**settings))
    metric.update([Record(str(n), {}, Meta(verdicts=found)) for n, found in enumerate(verdicts)])
    return metric.result()


def test_the_pass_rate_is_of_the_records_with_a_verdict() -> None:
    told = judged({"length": "pass"}, {"length": "Pass"}, {"length": "fail"}, {"length": "too long"}, {})
    assert told["length"]["pass_rate"] == 0.5
    assert told["length"]["missing"] == 1


@pytest.mark.parametrize(("verdict", "rate"), [("fail", 0.0), ("pass", 1.0), ("deepen, breadth", None)])
def test_a_verdict_that_tells_something_else_has_no_pass_rate(verdict: str, rate: float | None) -> None:
    assert judged({"v": verdict})["v"]["pass_rate"] == rate


def test_of_free_text_no_words_are_told() -> None:
    told = judged(*({"judge": f"reason {n}"} for n in range(60)))["judge"]
    assert (told["counts"], told["other"], told["pass_rate"]) == ({}, 60, None)


def test_the_pass_rate_is_exact_among_many_words() -> None:
    told = judged(*({"v": "pass" if n % 2 else f"too long by {n}"} for n in range(200)), most_values=3)["v"]
    assert (told["pass_rate"], told["passed"], len(told["counts"])) == (0.5, 100, 3)


def test_other_words_may_mean_that_a_record_passes() -> None:
    assert (
        judged({"v": "strict"}, {"v": "loose"}, {"v": "none"}, passing=("strict", "loose"))["v"]["pass_rate"] == 2 / 3
    )


def test_personal_data_is_counted_by_kind_and_never_kept() -> None:
    metric = Pii(PiiSettings(column="text"))
    texts = ["Mail jo@example.org or al@example.org", "Call +44 7700 900123, jo@example.org", "nothing", None, 7]
    metric.update([Record(str(n), {"text": text}) for n, text in enumerate(texts)])
    assert metric.result() == {
        "rate": 0.4, "records": 2, "found": {"email": 3, "phone": 1}, "records_with": {"email": 2, "phone": 1},
    }  # fmt: skip
    assert b"example" not in metric.snapshot()
    assert Pii(PiiSettings(column="text")).result()["rate"] is None
