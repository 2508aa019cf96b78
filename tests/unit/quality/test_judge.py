"""The judge: what it asks, the three outcomes, what is refused, and the reward that reads its scores."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from asking import asking
from judging import ODD

from streamgen.control.judge import Judge
from streamgen.control.judge import JudgeSettings as RewardSettings
from streamgen.engine.stage import Drop, Result
from streamgen.errors import RecipeError
from streamgen.llm.model import ChatRequest
from streamgen.llm.retry import CallError, Kind
from streamgen.opening import open_run
from streamgen.quality._judge_prompts import Wording
from streamgen.quality.judge import JudgeSettings, judge
from streamgen.recipe import Recipe
from streamgen.record import Record
from streamgen.testing import Answers, Scripted, scripted

GOOD = '{"reason": " It is right. ", "score": 4}'
RECORD = Record("0", {"question": "1 + 1?", "answer": "2"})


def settings(**more: Any) -> JudgeSettings:
    fields = {"model": "m", "columns": ("question", "answer"), "rubric": "Is the answer right?", "scale": (1, 5)}
    made = JudgeSettings(**{**fields, **more})  # type: ignore[arg-type]
    made.check()
    return made


async def judged(answers: Answers, record: Record = RECORD, **more: Any) -> tuple[Result, Scripted]:
    context, model = asking(settings(**more), answers)
    return await judge(record, context), model


async def test_the_score_and_the_reason_stand_in_the_provenance() -> None:
    result, model = await judged([GOOD])
    assert isinstance(result, Record)
    assert (result.columns, result.meta.scores, result.meta.verdicts) == (
        RECORD.columns, {"stage": 4.0}, {"stage": "It is right."}
    )  # fmt: skip
    assert len(model.requests) == 1


async def test_the_model_is_shown_rubric_scale_levels_and_columns_and_gives_the_reason_first() -> None:
    _, model = await judged([GOOD], levels={"1": "wrong", "5": "right"})
    (request,) = model.requests
    assert isinstance(request, ChatRequest) and request.schema
    assert [*request.schema["properties"]] == ["reason", "score"]
    assert request.schema["properties"]["score"] == {"type": "integer", "minimum": 1, "maximum": 5}
    assert request.messages[-1].content == (
        "Is the answer right?\n\n"
        "A score is a whole number from 1 to 5; 5 is best.\n1: wrong\n5: right\n\n"
        "<question>\n1 + 1?\n</question>\n<answer>\n2\n</answer>\n\n"
        "Say the reason in a sentence or two, then the score."
    )


@pytest.mark.parametrize(("least", "expected"), [(4.0, None), (4.5, Drop("low_score")), (1.0, None)])
async def test_below_the_least_score_a_record_is_dropped(least: float, expected: Drop | None) -> None:
    result, _ = await judged([GOOD], min_score=least)
    assert (result if isinstance(result, Drop) else None) == expected


@pytest.mark.parametrize(
    "answers",
    [
        ["I like it", "Really, I do"],
        ['{"reason": "good", "score": 9}', '{"reason": "good", "score": 0}'],  # not on the scale
        ['{"reason": "good", "score": "high"}', '{"reason": "good"}'],
        ['{"score": null, "reason": ""}', "5/5"],
    ],
)
@pytest.mark.parametrize("unscored", ["keep", "drop"])
async def test_what_is_no_score_the_second_time_either_is_unscored_and_never_a_zero(
    answers: list[str], unscored: str
) -> None:
    result, model = await judged(answers, unscored=unscored, min_score=2.0)
    assert len(model.requests) == 2
    if unscored == "drop":
        assert result == Drop("unscored")
        return
    assert isinstance(result, Record) and result.meta.scores == {}
    assert result.meta.verdicts["stage"].startswith("unscored: ")


async def test_a_second_answer_that_fits_is_a_score() -> None:
    result, model = await judged(["Four.", GOOD])
    assert isinstance(result, Record) and result.meta.scores == {"stage": 4.0}
    assert len(model.requests) == 2


async def test_an_empty_answer_is_unscored_and_a_refused_call_an_error() -> None:
    result, _ = await judged([CallError(Kind.EMPTY, "nothing")])
    assert isinstance(result, Record) and result.meta.verdicts == {"stage": "unscored: empty answer"}
    with pytest.raises(CallError):
        await judged([CallError(Kind.SERVER, "down")])


async def test_nothing_to_judge_costs_nothing() -> None:
    result, model = await judged([], Record("0", {"question": " ", "answer": None}))
    assert isinstance(result, Record) and result.meta.verdicts == {"stage": "unscored: there is nothing to judge"}
    assert model.requests == []


async def test_each_aspect_has_a_score_and_the_record_their_mean() -> None:
    aspects = {"right": "no errors", "short": "no more than is needed"}
    result, model = await judged(['{"reason": "r", "right": 5, "short": 2}'], aspects=aspects)
    assert isinstance(result, Record)
    assert result.meta.scores == {"stage": 3.5, "stage.right": 5.0, "stage.short": 2.0}
    assert "- right: no errors\n- short: no more than is needed\n" in model.requests[0].messages[-1].content  # type: ignore[union-attr]


async def test_odd_and_huge_columns_are_ordinary() -> None:
    for text in [*ODD, "x" * 10_000_000]:
        result, model = await judged([GOOD], Record("0", {"question": "?", "answer": text}))
        assert isinstance(result, Record) and result.meta.scores == {"stage": 4.0}
        assert len(model.requests[0].messages[-1].content) < 21_000  # type: ignore[union-attr]


async def test_the_words_can_be_replaced() -> None:
    wording = Wording(system="Sei streng.", ask="{{ rubric }} {{ texts['answer'] }} ({{ low }}-{{ high }})")
    _, model = await judged([GOOD], wording=wording)
    request = model.requests[0]
    assert isinstance(request, ChatRequest)
    assert [message.content for message in request.messages] == ["Sei streng.", "Is the answer right? 2 (1-5)"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"scale": None}, "scale: a rubric needs one"),
        ({"scale": (5, 1)}, "scale: its lowest score, 5, has to be below"),
        ({"levels": {"6": "more than all"}}, "levels: '6' is not on the scale from 1 to 5"),
        ({"levels": {"good": "yes"}}, "levels: 'good' is no whole number"),
        ({"min_score": 7.0}, "min_score: 7.0 is not on the scale"),
        ({"aspects": {"reason": "x"}}, "aspects: none can be called `reason`"),
        ({"wording": Wording(ask="{{ nope }}")}, "wording.ask: it inserts 'nope'"),
        ({"wording": Wording(system="{{ rubric }}")}, "wording.system: it inserts 'rubric'; there is nothing"),
    ],
)
def test_a_rubric_without_a_scale_and_what_does_not_fit_it_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, RecipeError), match=said):
        settings(**more)


def test_levels_alone_are_a_scale() -> None:
    assert settings(scale=None, levels={"0": "no", "3": "yes"}).ends() == (0, 3)


async def test_in_a_run_the_reward_reads_its_scores_and_leaves_out_the_unscored() -> None:
    stage = {"name": "grade", "type": "judge", "model": "main", "columns": ["n"], "rubric": "Is it good?",
             "scale": [1, 5]}  # fmt: skip
    raw = {
        "models": {"main": {"base_url": "http://127.0.0.1:1/v1", "model": "x"}},
        "source": {"type": "list", "rows": [{"n": n} for n in range(4)]},
        "stages": [stage],
    }

    def answer(request: Any) -> str:
        content = request.messages[1].content
        return (
            "no idea" if "<n>\n3\n" in content else f'{{"reason": "r", "score": {int(content.split("<n>")[1][1]) + 2}}}'
        )

    recipe = msgspec.structs.replace(Recipe.parse(raw), models={"main": scripted(answer)})
    async with open_run(recipe) as run:
        records = [record async for record in run]
    assert sorted(record.meta.scores.get("grade", -1.0) for record in records) == [-1.0, 2.0, 3.0, 4.0]
    metrics = await Judge(RewardSettings(column="grade")).score(records, records)
    assert (metrics["mean"], metrics["scored"], metrics["unscored"]) == (3.0, 3.0, 1.0)
