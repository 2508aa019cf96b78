from __future__ import annotations

import pytest
from judging import ODD, reasons

from streamgen.context import StageContext
from streamgen.errors import MissingExtra
from streamgen.quality.language import LanguageSettings, language
from streamgen.record import Record

TEXTS = {
    "en": "The weather is fine today and we are going to the beach.",
    "de": "Heute ist das Wetter schön und wir gehen an den Strand.",
    "pt": "Hoje o tempo está bom e nós vamos à praia com as crianças.",
    "zh": "今天天气很好，我们一起去海边玩。",
    "ar": "الطقس جميل اليوم ونحن ذاهبون إلى الشاطئ.",
}


def test_only_the_wanted_languages_pass() -> None:
    settings = LanguageSettings(column="text", languages=("en", "zh"))
    found = reasons(language, settings, [*TEXTS.values(), "HELLO, HOW ARE YOU DOING?", "12 + 7 = 19"])
    other = "other_language"
    assert found == [None, other, other, None, other, None, "no_language"]


def test_what_passes_carries_its_language_and_how_sure_that_is() -> None:
    settings = LanguageSettings(column="text", languages=("de",), action="tag")
    records = [Record(code, {"text": text}) for code, text in TEXTS.items()]
    tagged = language([*records, Record("none", {"text": "..."})], StageContext("language", settings))
    assert [r.meta.verdicts.get("language") for r in tagged if isinstance(r, Record)] == [*TEXTS, None]
    assert all(0.5 < r.meta.scores["language"] <= 1.0 for r in tagged[:-1] if isinstance(r, Record))


def test_a_guess_is_dropped_as_unsure() -> None:
    sure = LanguageSettings(column="text", languages=("en",), min_confidence=0.9)
    unsure = LanguageSettings(column="text", languages=("en",), min_confidence=0.0)
    assert reasons(language, sure, ["a"]) == ["unsure_language"]
    assert reasons(language, unsure, ["a"]) == [None]


def test_only_the_first_characters_are_read() -> None:
    text = TEXTS["en"] + TEXTS["de"] * 100
    assert reasons(language, LanguageSettings(column="text", languages=("en",), characters=50), [text]) == [None]
    assert reasons(language, LanguageSettings(column="text", languages=("de",)), [text]) == [None]


def test_odd_and_huge_texts_are_ordinary() -> None:
    reasons(language, LanguageSettings(column="text", languages=("en",)), [*ODD, "word " * 2_000_000, "\n" * 1000])


@pytest.mark.parametrize("code", ["english", "EN", "", "e1"])
def test_what_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="is no ISO 639 code"):
        LanguageSettings(column="text", languages=(code,)).check()


def test_without_the_detector_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.quality.language.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'streamgen-llm\[language\]'"):
        LanguageSettings(column="text", languages=("en",)).check()
