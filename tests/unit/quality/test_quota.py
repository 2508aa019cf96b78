from __future__ import annotations

import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Memory
from streamgen.errors import MissingColumn
from streamgen.quality.quota import Quota, QuotaSettings
from streamgen.record import Record


def passed(stage: Quota, settings: QuotaSettings, *labels: object, first: int = 0) -> list[object]:
    records = [Record(str(number), {"label": label}) for number, label in enumerate(labels, first)]
    results = stage(records, StageContext("quota", settings))
    return [
        result.reason if isinstance(result, Drop) else result is record
        for result, record in zip(results, records, strict=True)
    ]


def test_no_more_pass_than_are_wanted() -> None:
    settings = QuotaSettings(quotas={"a": 2, "b": 0})
    stage = Quota(settings)
    assert passed(stage, settings, "a", "b", "a", "c", "a") == [True, "quota_full", True, "unknown_class", "quota_full"]
    assert repr(stage) == "<Quota of 1 values, 2 passed>"


def test_other_values_have_a_quota_each() -> None:
    settings = QuotaSettings(quotas={"a": 1}, other=2)
    assert passed(Quota(settings), settings, 1, 1, 1, None, "a", "a") == [
        True,
        True,
        "quota_full",
        True,
        True,
        "quota_full",
    ]


def test_what_passed_is_known_after_a_resume_and_a_ticket_that_comes_again_passes() -> None:
    settings = QuotaSettings(quotas={"a": 2})
    stage, kept = Quota(settings), list[tuple[str, bytes]]()
    stage.keep = lambda record, body: kept.append((record, body))
    passed(stage, settings, "a", "a", "a")
    assert [record for record, _ in kept] == ["0", "1"]
    again = Quota(settings)
    again.recall([Memory(kept[0][1]), Memory(kept[1][1], "1")])
    assert passed(again, settings, "a", "a", first=1) == [True, "quota_full"]


@pytest.mark.parametrize("fields", [{}, {"quotas": {"a": 0}}])
def test_quotas_that_limit_nothing_or_pass_nothing_are_refused(fields: dict[str, dict[str, int]]) -> None:
    with pytest.raises(ValueError, match=r"^quotas: "):
        QuotaSettings(**fields).check()


def test_a_missing_column_is_named() -> None:
    settings = QuotaSettings(column="topic", other=1)
    with pytest.raises(MissingColumn):
        passed(Quota(settings), settings, "a")
