"""Profanity by a list and a classifier, patterns in linear time, and scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from judging import ODD, reason, reasons, records

from streamgen.context import StageContext
from streamgen.engine.stage import Drop
from streamgen.errors import MissingExtra, RecipeError
from streamgen.quality.phrases import Phrases
from streamgen.quality.profanity import ProfanitySettings, profanity
from streamgen.quality.regex import RegexSettings, regex
from streamgen.quality.score import ScoreSettings, score
from streamgen.record import Record
from streamgen.text import words


@pytest.fixture
def listed(tmp_path: Path) -> str:
    (tmp_path / "words.txt").write_text("darn\nholy cow\n傻瓜\n")
    return str(tmp_path / "words.txt")


def test_words_and_phrases_are_found_in_any_form(listed: str) -> None:
    texts = ["DARN it", "Holy, cow!", "a holy man's cow", "darned", "你是傻瓜吗", "傻和瓜", *ODD]
    bad = "profanity"
    expected = [bad, bad, None, None, bad, None, *[None] * len(ODD)]
    assert reasons(profanity, ProfanitySettings(column="text", words=listed), texts) == expected


def test_as_many_as_are_allowed_pass_and_are_counted(listed: str) -> None:
    settings = ProfanitySettings(column="text", words=listed, most=2)
    kept, dropped = profanity(records("darn the holy cow", "darn darn darn"), StageContext("swearing", settings))
    assert isinstance(kept, Record) and dropped == Drop("profanity")
    assert kept.meta.scores == {"swearing": 2.0}
    assert kept.meta.verdicts == {"swearing": "darn, holy cow"}


def test_a_tag_drops_nothing(listed: str) -> None:
    settings = ProfanitySettings(column="text", words=listed, action="tag")
    (tagged,) = profanity(records("darn"), StageContext("swearing", settings))
    assert isinstance(tagged, Record) and tagged.meta.scores == {"swearing": 1.0}


def test_the_classifier_judges_without_a_list() -> None:
    settings = ProfanitySettings(column="text", classifier=True)
    settings.check()
    assert reasons(profanity, settings, ["you fucking idiot", "good morning"]) == ["profanity", None]
    reasons(profanity, settings, ODD)
    (kept,) = profanity(records("good morning"), StageContext("swearing", settings))
    assert isinstance(kept, Record) and kept.meta.scores["swearing.probability"] < 0.2


def test_a_filter_that_has_nothing_to_go_by_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="words: give a file"):
        ProfanitySettings(column="text").check()
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(RecipeError, match="holds no words"):
        ProfanitySettings(column="text", words=str(tmp_path / "none.txt")).check()
    monkeypatch.setattr("streamgen.quality.profanity.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"streamgen-llm\[profanity\]"):
        ProfanitySettings(column="text", classifier=True).check()


def test_a_text_costs_the_same_whatever_the_number_of_phrases() -> None:
    phrases = Phrases([f"word{n} then" for n in range(10_000)])
    assert len(phrases) == 10_000
    assert [*phrases.within(words("word7 then word8, now word9 then"))] == ["word7 then", "word9 then"]


def test_patterns_must_and_must_not_be_found() -> None:
    settings = RegexSettings(column="text", must=(r"\d",), must_not=(r"(?i)draft", r"^\s"))
    settings.check()
    texts = ["a 1", "a", "Draft 1", " 1", "٣ \ud800", ""]
    missing, forbidden = "missing_pattern", "forbidden_pattern"
    assert reasons(regex, settings, texts) == [None, missing, forbidden, forbidden, missing, missing]
    assert reasons(regex, RegexSettings(column="text", must_not=("zzz",)), ODD) == [None] * len(ODD)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}$", r"^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_patterns_that_would_backtrack_for_ever_take_no_time(pattern: str) -> None:
    # With a backtracking engine each of these takes longer than the universe has been there.
    assert reason(regex, RegexSettings(column="text", must=(pattern,)), "a" * 100_000 + "!") == "missing_pattern"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"must": ("(?=a)b",)}, r"must: RE2 cannot read '\(\?=a\)b': invalid perl operator: \(\?=; it has no look"),
        ({"must_not": (r"(a)\1",)}, "must_not: RE2 cannot read"),
        ({"must_not": ("(",)}, "missing"),
        ({}, "must: give at least one pattern"),
    ],
)
def test_patterns_that_cannot_be_read_are_refused(fields: dict[str, tuple[str, ...]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RegexSettings(column="text", **fields).check()


def test_without_re2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.quality.regex.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"streamgen-llm\[regex\]"):
        RegexSettings(column="text", must=("a",)).check()


@pytest.mark.parametrize(
    ("given", "unscored", "why"),
    [
        (3.0, "drop", None),
        (5.0, "drop", None),
        (2.9, "drop", "low_score"),
        (5.1, "drop", "high_score"),
        (None, "drop", "unscored"),
        (None, "keep", None),
        ("4", "drop", None),
        ("good", "drop", "unscored"),
    ],
)
def test_scores_pass_within_their_bounds(given: object, unscored: str, why: str | None) -> None:
    settings = ScoreSettings(score="judge", min=3.0, max=5.0, unscored=unscored)  # type: ignore[arg-type]
    columns = {} if given is None else {"judge": given}
    by_column = Record("1", columns)
    assert score(by_column, StageContext("stage", settings)) == (Drop(why) if why else by_column)
    if isinstance(given, float):
        by_score = Record("1", {}).scored("judge", given)
        assert score(by_score, StageContext("stage", settings)) == (Drop(why) if why else by_score)


@pytest.mark.parametrize(("bounds", "said"), [({}, "min: give it or"), ({"min": 2.0, "max": 1.0}, "min: 2.0 is above")])
def test_bounds_that_do_nothing_are_refused(bounds: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ScoreSettings(score="judge", **bounds).check()
