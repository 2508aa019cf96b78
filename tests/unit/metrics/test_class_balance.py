from __future__ import annotations

from math import log

import pytest

from streamgen.metrics.class_balance import ClassBalance, ClassBalanceSettings
from streamgen.record import Record, Value


def measured(found: list[Value], **settings: Value) -> dict[str, Value]:
    metric = ClassBalance(ClassBalanceSettings(**settings))
    metric.update([Record(columns={"label": label}) for label in found])
    return metric.result()


def test_even_classes_have_an_entropy_of_one() -> None:
    result = measured(["a", "b", "c"] * 7)
    assert result["counts"] == {"a": 7, "b": 7, "c": 7}
    assert result["entropy"] == pytest.approx(1.0, abs=1e-12)
    assert (result["min_share"], result["max_share"]) == (1 / 3, 1 / 3)


def test_uneven_classes() -> None:
    result = measured(["a", "a", "a", "b"])
    assert result["entropy"] == pytest.approx(-(0.75 * log(0.75) + 0.25 * log(0.25)) / log(2))


def test_a_single_class_has_none() -> None:
    assert measured(["a", "a"])["entropy"] == 0.0


def test_an_expected_class_that_never_came_counts() -> None:
    result = measured(["a", "b"], labels=("a", "b", "c"))
    assert result["counts"] == {"a": 1, "b": 1, "c": 0}
    assert result["min_share"] == 0.0
    assert result["entropy"] == pytest.approx(log(2) / log(3))


def test_no_label_at_all() -> None:
    result = measured([None, None])
    assert (result["entropy"], result["missing"], result["counts"]) == (None, 2, {})


def test_labels_may_be_of_any_type() -> None:
    assert measured([1, True, "1", ""])["counts"] == {"1": 2, "": 1, "True": 1}


def test_more_labels_than_are_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="most_labels: 1 are fewer than the 2 labels"):
        ClassBalanceSettings(labels=("a", "b"), most_labels=1).check()
