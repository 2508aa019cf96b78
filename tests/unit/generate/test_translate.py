from __future__ import annotations

import msgspec
import pytest
from asking import asking

from streamgen.engine.stage import Drop
from streamgen.errors import MissingExtra
from streamgen.generate.translate import TranslateSettings, translate
from streamgen.llm.model import Response
from streamgen.record import Record
from streamgen.testing import Answer, prompt_of

ENGLISH = "The weather is fine today and we are going to the beach."
GERMAN = "Heute ist das Wetter schön und wir gehen an den Strand."
FRENCH = "Il fait beau aujourd'hui et nous allons à la plage avec les enfants."
RECORD = Record("0", {"text": ENGLISH, "id": 1})
BOTH = {"de": "German", "fr": "French"}


def settings_of(**fields: object) -> TranslateSettings:
    return msgspec.convert({"model": "m", "columns": ["text"], "languages": BOTH, **fields}, TranslateSettings)


async def test_tickets_take_the_languages_in_turn() -> None:
    for ticket, code, answer in ((0, "de", GERMAN), (1, "fr", FRENCH), (2, "de", GERMAN)):
        context, model = asking(settings_of(), [f"Translation: {answer}"], ticket=ticket)
        assert await translate(RECORD, context) == RECORD.with_columns(text=answer, language=code)
        assert f"into {BOTH[code]}." in prompt_of(model.requests[0])


async def test_all_languages_stand_beside_the_source_as_parallel_texts() -> None:
    context, _ = asking(settings_of(each="all", suffix="_in", language="code"), [GERMAN, FRENCH])
    made = await translate(RECORD, context)
    assert made == [
        RECORD.with_columns(text_in=GERMAN, code="de"),
        RECORD.with_columns(text_in=FRENCH, code="fr"),
    ]
    assert settings_of(suffix="_in").writes() == {"text_in", "language"}


async def test_a_language_that_failed_leaves_the_others() -> None:
    context, _ = asking(settings_of(each="all"), [ENGLISH, FRENCH])
    assert await translate(RECORD, context) == [RECORD.with_columns(text=FRENCH, language="fr")]
    context, _ = asking(settings_of(each="all"), [FRENCH, "I'm sorry, I cannot help."])
    assert await translate(RECORD, context) == Drop("other_language")


async def test_a_native_text_is_asked_for_in_other_words_and_looked_up_too() -> None:
    context, model = asking(settings_of(method="native"), [GERMAN])
    assert await translate(RECORD, context) == RECORD.with_columns(text=GERMAN, language="de")
    assert "Do not translate" in prompt_of(model.requests[0])
    context, _ = asking(settings_of(method="native"), ["The sun is out, so we will swim in the lake."])
    assert await translate(RECORD, context) == Drop("other_language")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        ("[]", "empty"),
        (ENGLISH, "unchanged"),
        (FRENCH, "other_language"),
        ("12 + 7 = 19, 19 - 7 = 12, 12 - 7 = 5", "other_language"),
        ("I'm sorry, but I can't translate that.", "refusal"),
        (Response("Heute ist", finish_reason="length"), "truncated"),
        (f"Translate the following into German. Keep names and numbers. {ENGLISH}", "leaked_prompt"),
    ],
)
async def test_what_is_no_translation_is_dropped(answer: Answer, reason: str) -> None:
    context, model = asking(settings_of(), [answer])
    assert await translate(RECORD, context) == Drop(reason)
    assert len(model.requests) == 1


async def test_the_detector_has_to_be_sure() -> None:
    context, _ = asking(settings_of(min_confidence=1.0), [GERMAN])
    assert await translate(RECORD, context) == Drop("unsure_language")


async def test_texts_that_are_too_short_to_tell_pass() -> None:
    context, _ = asking(settings_of(), ["Ja."])
    assert await translate(Record("0", {"text": "Yes."}), context) == Record("0", {"text": "Ja.", "language": "de"})


async def test_several_columns_go_into_the_same_language_and_an_empty_one_stays_empty() -> None:
    settings = settings_of(columns=["title", "text", "note"])
    record = Record("0", {"title": "Fine weather", "text": ENGLISH, "note": None})
    context, model = asking(settings, ["Schönes Wetter", GERMAN])
    made = await translate(record, context)
    assert made == Record("0", {"title": "Schönes Wetter", "text": GERMAN, "note": "", "language": "de"})
    assert len(model.requests) == 2


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), (None, "empty"), ("word " * 2_000_000, "too_long")])
async def test_texts_that_cannot_be_translated_cost_nothing(text: object, reason: str) -> None:
    context, model = asking(settings_of(), [])
    assert await translate(Record("0", {"text": text}), context) == Drop(reason)
    assert model.requests == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"languages": {"German": "de"}}, "^languages: 'German' is no ISO 639 code"),
        ({"language": "text"}, "^language: the column 'text'"),
        ({"wording": {"translate": "{{ lang }}"}}, r"^wording\.translate: it inserts 'lang'; there is language, text"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(**fields).check()


def test_without_the_detector_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.generate.translate.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'streamgen-llm\[language\]'"):
        settings_of().check()
