from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.control.acceptance import Acceptance, AcceptanceSettings
from streamgen.control.judge import Judge, JudgeSettings
from streamgen.control.reward import TrialFacts
from streamgen.errors import RewardError
from streamgen.record import Record

FACTS = TrialFacts(tickets=20, accepted=5, tokens=10_000, usd=0.25, seconds=3.0)


def acceptance(per: Any = "ticket") -> Acceptance:
    return Acceptance(AcceptanceSettings(per=per))


async def test_accepted_records_are_divided_by_what_the_trial_took() -> None:
    metrics = await acceptance().score([], [], facts=FACTS)
    assert {name: value for name, value in metrics.items() if not name.endswith("_se")} == {
        "per_ticket": 0.25,
        "per_1000_tokens": 0.5,
        "per_usd": 20.0,
    }
    assert [acceptance(per).metric for per in ("ticket", "1000_tokens", "usd")] == [
        "per_ticket",
        "per_1000_tokens",
        "per_usd",
    ]


async def test_none_accepted_is_worth_nothing_and_still_uncertain() -> None:
    metrics = await acceptance().score([], [], facts=TrialFacts(tickets=16, accepted=0, tokens=100))
    assert metrics["per_ticket"] == metrics["per_1000_tokens"] == 0.0
    assert metrics["per_ticket_se"] == pytest.approx(sqrt(0.1 * 0.9 / 20))
    assert "per_usd" not in metrics


@given(st.integers(1, 500), st.integers(0, 1000), st.integers(1, 10**6))
async def test_errors_are_in_the_proportion_of_the_values(tickets: int, accepted: int, tokens: int) -> None:
    metrics = await acceptance().score([], [], facts=TrialFacts(tickets=tickets, accepted=accepted, tokens=tokens))
    per_ticket, per_tokens = metrics["per_ticket_se"] * tickets, metrics["per_1000_tokens_se"] * tokens / 1000
    assert per_ticket > 0
    assert per_ticket == pytest.approx(per_tokens)


@pytest.mark.parametrize(
    ("per", "facts", "message"),
    [
        ("ticket", None, "not known here"),
        ("usd", TrialFacts(tickets=4, accepted=2, tokens=5), "give the models their prices"),
        ("1000_tokens", TrialFacts(tickets=4, accepted=2), "took no tokens"),
    ],
)
async def test_without_anything_to_divide_by_the_trial_fails(per: str, facts: TrialFacts | None, message: str) -> None:
    with pytest.raises(RewardError, match=message):
        await acceptance(per).score([], [], facts=facts)


def judged(*scores: Any) -> list[Record]:
    return [Record(str(index), {"quality": score}) for index, score in enumerate(scores)]


async def test_the_mean_leaves_out_what_has_no_score() -> None:
    records = [*judged(1, 2.0, " 3 ", None, "good", float("nan"), float("inf"), [4]), Record("x", {"text": "a"})]
    metrics = await Judge(JudgeSettings(column="quality")).score(records, [])
    assert metrics == {"mean": 2.0, "mean_se": pytest.approx(1 / sqrt(3)), "scored": 3.0, "unscored": 6.0}


async def test_a_score_in_the_provenance_counts_too() -> None:
    metrics = await Judge(JudgeSettings(column="quality")).score(
        [Record("0", {"text": "a"}).scored("quality", 4.0)], []
    )
    assert metrics == {"mean": 4.0, "scored": 1.0, "unscored": 0.0}


async def test_dropped_tickets_count_as_nothing_per_ticket() -> None:
    metrics = await Judge(JudgeSettings(column="quality", metric="per_ticket")).score(judged(4, 2), [], facts=FACTS)
    assert metrics["per_ticket"] == pytest.approx(6 / 20)
    assert metrics["per_ticket_se"] > 0


@pytest.mark.parametrize(
    ("records", "least", "message"),
    [
        ([], 0.0, "none of the trial's 0 records"),
        (judged(None, "bad"), 0.0, "none of the trial's 2 records has a number in 'quality'"),
        (judged(1, None, None), 0.5, "only 1 of the trial's 3"),
    ],
)
async def test_too_few_scores_fail_the_trial(records: list[Record], least: float, message: str) -> None:
    with pytest.raises(RewardError, match=message):
        await Judge(JudgeSettings(column="quality", least_scored=least)).score(records, [])
