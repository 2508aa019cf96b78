"""Preference pairs: who writes, how they are judged, what a judge's bias and uselessness come to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from asking import asking

from streamgen.engine.stage import Drop, Result
from streamgen.errors import RecipeError, UnknownName
from streamgen.generate._preference_prompts import Wording
from streamgen.generate.preference import PreferenceSettings, Writer, preference
from streamgen.llm.model import ChatRequest
from streamgen.recipe import Recipe
from streamgen.record import Record
from streamgen.testing import Answers, Scripted

RECORD = Record("0", {"q": "Name a river."})


def settings(**more: Any) -> PreferenceSettings:
    made = PreferenceSettings(**{"model": "m", "prompt": "{{ q }}", "aspects": {"right": "it is right"}, **more})
    made.check()
    return made


async def made(script: Answers, ticket: int = 0, **more: Any) -> tuple[Result, Scripted]:
    context, model = asking(settings(**more), script, ticket=ticket)
    return await preference(RECORD, context), model


def grade(**scores: int) -> str:
    return msgspec.json.encode({"reason": "so", **scores}).decode()


def better(which: str) -> str:
    return msgspec.json.encode({"reason": "so", "better": which}).decode()


async def test_the_best_and_the_worst_answer_make_a_pair_with_its_margin() -> None:
    result, model = await made(["Nile", "a lake", "Po", grade(right=4), grade(right=1), grade(right=5)], answers=3)
    assert isinstance(result, Record)
    assert result.columns == {
        **RECORD.columns, "prompt": "Name a river.", "chosen": "Po", "rejected": "a lake", "margin": 4.0
    }  # fmt: skip
    assert result.meta.scores == {"stage.chosen": 5.0, "stage.rejected": 1.0}
    assert result.meta.verdicts == {"stage": "m over m"}
    assert len(model.requests) == 6


async def test_an_answers_score_is_the_mean_of_its_aspects() -> None:
    aspects = {"right": "it is right", "short": "it is short"}
    result, _ = await made(["Nile", "Po", grade(right=4, short=1), grade(right=1, short=5)], aspects=aspects)
    assert isinstance(result, Record) and (result["chosen"], result["margin"]) == ("Po", 0.5)


async def test_the_judge_sees_request_and_response_and_draws_nothing_by_chance() -> None:
    _, model = await made(["Nile", "Po", grade(right=4), grade(right=1)], temperature=1.2)
    writing, _, judging, _ = model.requests
    assert isinstance(writing, ChatRequest) and isinstance(judging, ChatRequest)
    assert (writing.temperature, judging.temperature) == (1.2, 0.0)
    asked = judging.messages[-1].content
    assert "<request>\nName a river.\n</request>" in asked and "<response>\nNile\n</response>" in asked


@pytest.mark.parametrize(("ticket", "temperatures"), [(0, [0.1, 0.9, 0.1]), (1, [0.9, 0.1, 0.9])])
async def test_writers_take_turns_and_begin_with_another_one_each_ticket(
    ticket: int, temperatures: list[float]
) -> None:
    writers = (Writer(model="a", temperature=0.1, system="Be {{ q }}"), Writer(model="b", temperature=0.9))
    script = ["1", "2", "3", grade(right=1), grade(right=2), grade(right=3)]
    result, model = await made(script, ticket, answers=3, writers=writers)
    asked = [request for request in model.requests[:3] if isinstance(request, ChatRequest)]
    assert [request.temperature for request in asked] == temperatures
    assert [len(request.messages) for request in asked] == [2 if t == 0.1 else 1 for t in temperatures]
    assert isinstance(result, Record)
    assert result.meta.verdicts["stage"] in ("a over a", "b over b")


async def test_pairs_are_compared_in_both_orders_and_an_answer_that_wins_both_is_chosen() -> None:
    result, model = await made(["Nile", "Po", better("second"), better("first")], method="pairwise")
    assert isinstance(result, Record) and (result["chosen"], result["margin"]) == ("Po", 1.0)
    forward, backward = (request.messages[-1].content for request in model.requests[2:])  # type: ignore[union-attr]
    assert forward.index("Nile") < forward.index("Po") and backward.index("Po") < backward.index("Nile")


async def test_a_judge_that_prefers_what_it_reads_first_decides_nothing() -> None:
    assert (await made(["Nile", "Po", better("first"), better("first")], method="pairwise"))[0] == Drop("tie")


async def test_three_answers_are_compared_in_six_questions() -> None:
    script = ["a", "b", "c", better("first"), better("second"), better("tie"), better("tie"), better("second"),
              better("first")]  # fmt: skip
    result, model = await made(script, answers=3, method="pairwise")  # a beats b, a and c tie, c beats b
    assert isinstance(result, Record)
    assert (result["chosen"], result["rejected"], result["margin"], len(model.requests)) == ("a", "b", 0.75, 9)


@pytest.mark.parametrize(
    ("script", "more", "reason"),
    [
        (["", "Po"], {}, "empty"),
        (["Po.", " po"], {}, "same_answers"),
        (["Nile", "Po", grade(right=3), grade(right=3)], {}, "tie"),
        (["Nile", "Po", grade(right=3), grade(right=4)], {"min_margin": 2.0}, "tie"),
        (["Nile", "Po", "5", "It is good.", grade(right=4)], {}, "unscored"),
        (["Nile", "Po", grade(right=9), grade(right=0), grade(right=4)], {}, "unscored"),
        (["Nile", "Po", "[]", "[]", better("first")], {"method": "pairwise"}, "unscored"),
    ],
)
async def test_what_makes_no_pair_is_dropped_for_a_reason(script: Answers, more: Any, reason: str) -> None:
    assert (await made(script, **more))[0] == Drop(reason)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"prompt": "{{ q "}, "prompt: "),
        ({"writers": (Writer(model="a", system="{% if %}"),)}, r"writers\[0\].system: "),
        ({"aspects": {}}, "aspects: there must be one"),
        ({"scale": (5, 5)}, "scale: its lowest score, 5"),
        (
            {"wording": Wording(compare="{{ third }}")},
            "wording.compare: it inserts 'third'; there is first, prompt, second",
        ),
    ],
)
def test_settings_that_cannot_be_right_are_refused(more: Any, said: str) -> None:
    with pytest.raises((ValueError, RecipeError), match=said):
        settings(**more)


def test_every_model_that_is_named_must_be_known() -> None:
    stage = {"name": "p", "type": "preference", "model": "m", "prompt": "x", "judge": "n"}
    raw = {
        "models": {"m": {"base_url": "http://127.0.0.1:1/v1", "model": "x"}},
        "stages": [stage],
        "run": {"accept": 1},
    }
    with pytest.raises(UnknownName, match="'n'"):
        Recipe.parse(raw)
