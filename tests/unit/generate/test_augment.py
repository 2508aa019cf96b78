from __future__ import annotations

import msgspec
import pytest
from asking import asking

from streamgen.engine.stage import Drop
from streamgen.errors import MissingColumn
from streamgen.generate.augment import AugmentSettings, augment
from streamgen.llm.model import Response
from streamgen.llm.retry import CallError, Kind
from streamgen.record import Record
from streamgen.testing import Answer, prompt_of

TEXT = "Play the new song by Nina Simone."
RECORD = Record("0", {"text": TEXT, "label": "music"})
OTHER = "Put on what Nina Simone sang last."
LABELLED = {"label": "label", "labels": ["music", "weather"]}


def settings_of(**fields: object) -> AugmentSettings:
    return msgspec.convert({"model": "m", "operations": ["paraphrase"], **fields}, AugmentSettings)


async def test_a_text_is_said_in_other_words() -> None:
    context, model = asking(settings_of(temperature=0.7, operation="how"), [f'Sure, here it is:\n\n"{OTHER}"'])
    assert await augment(RECORD, context) == RECORD.with_columns(text=OTHER, how="paraphrase")
    (request,) = model.requests
    assert request.temperature == 0.7
    assert prompt_of(request).endswith(f"\n\n{TEXT}")


async def test_a_round_trip_translates_there_and_back() -> None:
    settings = settings_of(operations=["pivot"], pivots=["German"], source_language="English")
    context, model = asking(settings, ["Spiel das neue Lied von Nina Simone.", OTHER])
    assert await augment(RECORD, context) == RECORD.with_columns(text=OTHER)
    there, back = map(prompt_of, model.requests)
    assert "into German" in there and TEXT in there
    assert "into English" in back and TEXT not in back and "Spiel das neue Lied" in back


async def test_a_round_trip_that_fails_on_the_way_there_is_not_paid_back() -> None:
    context, model = asking(settings_of(operations=["pivot"]), [TEXT])
    assert await augment(RECORD, context) == Drop("unchanged")
    assert len(model.requests) == 1
    context, model = asking(settings_of(operations=["pivot"]), ["Spiel das neue Lied.", TEXT])
    assert await augment(RECORD, context) == Drop("unchanged")


@pytest.mark.parametrize(("operation", "listed"), [("style", "styles"), ("register", "registers")])
async def test_a_style_is_drawn_from_the_users_own(operation: str, listed: str) -> None:
    context, model = asking(settings_of(operations=[operation], **{listed: ["a sonnet"]}), [OTHER])
    assert await augment(RECORD, context) == RECORD.with_columns(text=OTHER)
    assert "a sonnet" in prompt_of(model.requests[0])


async def test_each_operation_comes_once_before_one_comes_again() -> None:
    operations = ["paraphrase", "style", "register"]
    settings = settings_of(operations=operations, n=6, operation="how", keep_original=True)
    context, _ = asking(settings, [f"Text {number} by Nina Simone" for number in range(6)])
    made = await augment(RECORD, context)
    assert isinstance(made, list)
    done = [record["how"] for record in made]
    assert done[0] == "original"
    assert (sorted(done[1:4]), sorted(done[4:])) == (sorted(operations), sorted(operations))
    assert made[0]["text"] == TEXT


async def test_what_came_out_well_goes_on_without_the_rest() -> None:
    context, _ = asking(settings_of(n=4), ["I'm sorry, I cannot help.", OTHER, OTHER, "One more by Nina Simone"])
    made = await augment(RECORD, context)
    assert isinstance(made, list)
    assert [record["text"] for record in made] == [OTHER, "One more by Nina Simone"]


@pytest.mark.parametrize(
    ("operation", "answer", "reason"),
    [
        ("paraphrase", "", "empty"),
        ("paraphrase", CallError(Kind.EMPTY, "no text"), "empty"),
        ("paraphrase", "[]", "empty"),
        ("paraphrase", "play the new song, by Nina Simone", "unchanged"),
        ("paraphrase", "I'm sorry, but I can't do that.", "refusal"),
        ("paraphrase", Response("Put on", finish_reason="length"), "truncated"),
        ("paraphrase", "Поставь новую песню Нины Симон.", "other_language"),
        (
            "paraphrase",
            f"Say the following in other words. Keep what it means and about how long it is. {TEXT}",
            "leaked_prompt",
        ),
        ("expand", "Play Nina Simone.", "not_longer"),
        ("compress", f"{OTHER} And then the one before it.", "not_shorter"),
    ],
)
async def test_an_answer_that_is_not_the_text_in_another_form(operation: str, answer: Answer, reason: str) -> None:
    context, model = asking(settings_of(operations=[operation]), [answer])
    assert await augment(RECORD, context) == Drop(reason)
    assert len(model.requests) == 1


async def test_the_first_reason_is_told_where_nothing_came_out_well_and_the_original_can_be_kept() -> None:
    context, _ = asking(settings_of(n=2), [TEXT, ""])
    assert await augment(RECORD, context) == Drop("unchanged")
    context, _ = asking(settings_of(n=2, keep_original=True), [TEXT, ""])
    assert await augment(RECORD, context) == RECORD


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (['{"label": "music"}'], None),
        (['{"label": "weather"}'], "label_changed"),
        (["music", "music"], "unsure_label"),
        (['{"label": "books"}', "[]"], "unsure_label"),
        ([CallError(Kind.TRUNCATED, "cut")], "unsure_label"),
    ],
)
async def test_the_label_is_looked_up_in_the_new_text(answers: list[Answer], reason: str | None) -> None:
    context, model = asking(settings_of(**LABELLED, temperature=1.0), [OTHER, *answers])
    result = await augment(RECORD, context)
    assert result == (Drop(reason) if reason else RECORD.with_columns(text=OTHER))
    assert len(model.requests) == 1 + len(answers)
    assert OTHER in prompt_of(model.requests[1])
    assert model.requests[1].temperature == 0.0


async def test_a_label_that_cannot_be_looked_up_may_be_kept() -> None:
    context, _ = asking(settings_of(**LABELLED, unsure="keep"), [OTHER, "music", "music"])
    assert await augment(RECORD, context) == RECORD.with_columns(text=OTHER)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"text": " "}, "empty"),
        ({"text": None}, "empty"),
        ({"text": "word " * 2_000_000}, "too_long"),
        ({"text": TEXT, "label": "books"}, "unknown_label"),
    ],
)
async def test_records_that_cannot_be_rewritten_cost_nothing(columns: dict[str, object], reason: str) -> None:
    context, model = asking(settings_of(**LABELLED), [])
    assert await augment(Record("0", {"label": "music", **columns}), context) == Drop(reason)
    assert model.requests == []


async def test_a_number_is_a_text_and_a_missing_column_is_named() -> None:
    context, _ = asking(settings_of(), ["seven"])
    assert await augment(Record("0", {"text": 7}), context) == Record("0", {"text": "seven"})
    with pytest.raises(MissingColumn, match="'stage' reads the column 'text'"):
        await augment(Record("0", {}), context)


async def test_the_words_can_be_replaced() -> None:
    wording = {"system": "S", "rewrite": "{{ text }} -> {{ how }}", "paraphrase": "P"}
    context, model = asking(settings_of(wording=wording), [OTHER])
    await augment(RECORD, context)
    assert prompt_of(model.requests[0]) == f"{TEXT} -> P"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"wording": {"rewrite": "{{ txt }}"}}, r"^wording\.rewrite: it inserts 'txt'; there is how, text"),
        ({"wording": {"paraphrase": "{{ text }}"}}, r"^wording\.paraphrase: it inserts 'text'; there is nothing"),
        ({"label": "label"}, "^labels: "),
        ({"labels": ["a", "b"]}, "^labels: "),
        ({"label": "label", "labels": ["a"]}, "^labels: "),
        ({"operation": "text"}, "^column: 'text'"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(**fields).check()


def test_an_unknown_operation_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(msgspec.ValidationError, match="operations"):
        settings_of(operations=["shout"])
