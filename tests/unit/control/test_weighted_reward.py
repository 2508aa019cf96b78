from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from streamgen.control.build import build_reward
from streamgen.control.reward import (
    PairedReward,
    TrialFacts,
    answer_of,
    class_errors,
    close_reward,
    failed_reward,
    reward_of,
)
from streamgen.control.weighted import Part, Weighted, WeightedSettings
from streamgen.errors import FatalError, RecipeError, RewardError, UnknownName
from streamgen.record import Record

FACTS = TrialFacts(tickets=4, accepted=2, tokens=1000, usd=0.5)
RECORDS = [Record("0", {"score": 3.0}), Record("1", {"score": 5.0})]


def counted(records: list[Record]) -> dict[str, float]:
    return {"count": float(len(records)), "error/x": 0.5}


def weighted(**parts: Mapping[str, Any]) -> Weighted:
    return Weighted(WeightedSettings(parts=parts))


COUNT = {"type": "callback", "function": counted, "metric": "count"}
YIELD = {"type": "acceptance", "per": "ticket"}
JUDGED = {"type": "judge", "column": "score"}


async def test_parts_are_weighed_and_their_metrics_kept() -> None:
    reward = weighted(size={**COUNT, "weight": 2.0}, got={**YIELD, "weight": 0.5}, liked=JUDGED)
    metrics = await answer_of(reward, RECORDS, [], FACTS)
    assert metrics["weighted"] == pytest.approx(2.0 * 2 + 0.5 * 0.5 + 4.0)
    assert (metrics["size.count"], metrics["got.per_ticket"], metrics["liked.mean"]) == (2.0, 0.5, 4.0)
    assert class_errors(metrics) == {"x": 0.5}
    assert "weighted_se" not in metrics  # the callback tells none
    assert reward_of(metrics, reward.metric, 2).value == metrics["weighted"]


async def test_standard_errors_add_up_where_all_are_known() -> None:
    reward = weighted(got={**YIELD, "weight": 0.5}, liked={**JUDGED, "weight": -2.0})
    metrics = await answer_of(reward, RECORDS, [], FACTS)
    expected = sqrt((0.5 * metrics["got.per_ticket_se"]) ** 2 + (2 * metrics["liked.mean_se"]) ** 2)
    assert metrics["weighted_se"] == pytest.approx(expected)


async def test_a_failing_part_fails_the_whole_with_its_name() -> None:
    with pytest.raises(RewardError, match="the part 'liked': none of the trial's 0 records"):
        await weighted(size=COUNT, liked=JUDGED).score([], [])

    def broken(records: list[Record]) -> dict[str, float]:
        raise KeyError("sk-abcdefgh12345678")

    with pytest.raises(RewardError, match="the part 'size': KeyError") as caught:
        await weighted(size={**COUNT, "function": broken}).score([], [])
    assert "abcdefgh" not in (failed_reward(caught.value, 0).error or "")


async def test_a_part_that_says_what_it_counts_otherwise_fails_alone() -> None:
    metrics = await weighted(size=COUNT, liked={**JUDGED, "weight": 2.0, "otherwise": -1.0}).score([], [])
    assert metrics["weighted"] == -2.0
    assert metrics["liked.failed"] == 1.0


async def test_a_fatal_error_stops_the_run() -> None:
    def fatal(records: list[Record]) -> dict[str, float]:
        raise FatalError("disk full")

    with pytest.raises(FatalError, match="disk full"):
        await weighted(size={**COUNT, "function": fatal, "otherwise": 0.0}).score([], [])


class Paired:
    """The number of records, also the incumbent's."""

    metric = "count"

    def __init__(self) -> None:
        self.closed = 0

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        return {"count": float(len(records))}

    async def score_paired(
        self, records: Sequence[Record], baseline_records: Sequence[Record], pool: Sequence[Record]
    ) -> Mapping[str, float]:
        return {"count": float(len(records)), "count_baseline": float(len(baseline_records))}

    async def aclose(self) -> None:
        self.closed += 1


def of_pairs(monkeypatch: pytest.MonkeyPatch, *functions: Any) -> Weighted:
    made = iter(functions)
    monkeypatch.setattr("streamgen.control.weighted._part", lambda name, *_: Part(name, next(made), 3.0, None))
    return weighted(**{f"p{index}": {} for index in range(len(functions))})


async def test_it_is_paired_where_all_parts_are(monkeypatch: pytest.MonkeyPatch) -> None:
    reward = of_pairs(monkeypatch, Paired(), Paired())
    assert isinstance(reward, PairedReward)
    metrics = await answer_of(reward, RECORDS, [], FACTS, baseline=RECORDS[:1])
    assert reward_of(metrics, "weighted", 2).baseline == 6.0
    assert metrics["weighted"] == 12.0


def test_it_is_not_paired_where_one_part_is_not() -> None:
    assert not isinstance(weighted(size=COUNT), PairedReward)


async def test_closing_closes_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [Paired(), Paired()]
    await close_reward(of_pairs(monkeypatch, *parts))
    assert [part.closed for part in parts] == [1, 1]


def built(**part: Any) -> Any:
    return build_reward({"type": "weighted", "parts": {"mine": part}}, None)


@pytest.mark.parametrize(
    ("part", "error", "message", "path"),
    [
        ({}, RecipeError, "no `type`", "$.controller.reward.parts.mine"),
        ({"type": "judg"}, RecipeError, "did you mean 'judge'", "$.controller.reward.parts.mine.type"),
        ({"type": "judge"}, RecipeError, "setting is missing: `column`", "$.controller.reward.parts.mine"),
        ({**JUDGED, "weight": "2"}, RecipeError, "float", "$.controller.reward.parts.mine"),
        (
            {"type": "classifier", "validation": "no.jsonl"},
            RecipeError,
            "cannot read",
            "$.controller.reward.parts.mine.validation",
        ),
    ],
)
def test_a_part_that_cannot_work_is_refused_with_its_place(
    part: dict[str, Any], error: type[RecipeError], message: str, path: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        built(**part)
    assert caught.value.path == path


def test_without_parts_there_is_no_sum(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="length >= 1"):
        build_reward({"type": "weighted", "parts": {}}, str(tmp_path))


def test_an_unknown_setting_of_the_sum_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'parts'"):
        build_reward({"type": "weighted", "part": {"mine": JUDGED}}, None)
