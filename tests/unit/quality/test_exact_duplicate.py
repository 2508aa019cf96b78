from __future__ import annotations

import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Memory
from streamgen.errors import MissingColumn
from streamgen.quality.exact_duplicate import ExactDuplicate, ExactDuplicateSettings, normalised
from streamgen.record import Record

SETTINGS = ExactDuplicateSettings(columns=("text",))


def kept(texts: list[object], settings: ExactDuplicateSettings = SETTINGS) -> list[object]:
    stage = ExactDuplicate(settings)
    results = stage([Record(str(i), {"text": text}) for i, text in enumerate(texts)], StageContext("dup", settings))
    assert all(isinstance(result, Record) or result == Drop("duplicate") for result in results)
    return [result["text"] for result in results if isinstance(result, Record)]


def test_the_first_of_equal_texts_is_kept_within_a_batch() -> None:
    assert kept(["a", "b", "a", "", "", None, 7, "7"]) == ["a", "b", "", 7]


def test_case_space_and_unicode_forms_make_no_difference() -> None:
    assert kept(["Hello  world", "hello world ", "ｈello world", "hello, world"]) == ["Hello  world", "hello, world"]


def test_punctuation_can_be_ignored() -> None:
    settings = ExactDuplicateSettings(columns=("text",), ignore=("punctuation",))
    assert kept(["Hi!", "Hi", "hi", ":-)", "?!"], settings) == ["Hi!", "hi", ":-)", "?!"]


def test_nothing_need_be_ignored() -> None:
    assert kept(["a", "A", "a "], ExactDuplicateSettings(columns=("text",), ignore=())) == ["a", "A", "a "]


def test_columns_do_not_run_into_each_other() -> None:
    settings = ExactDuplicateSettings(columns=("a", "b"))
    rows = [Record("1", {"a": "ab", "b": "c"}), Record("2", {"a": "a", "b": "bc"}), Record("3", {"a": "ab", "b": "c"})]
    assert ExactDuplicate(settings)(rows, StageContext("dup", settings)) == [rows[0], rows[1], Drop("duplicate")]


def test_what_is_kept_of_records_that_pass_is_known_in_the_next_session() -> None:
    stage, context = ExactDuplicate(SETTINGS), StageContext("dup", SETTINGS)
    kept: list[tuple[str, bytes]] = []
    stage.keep = lambda id_, body: kept.append((id_, body))
    stage([Record("1", {"text": "old"}), Record("2", {"text": "open"}), Record("3", {"text": "OLD"})], context)
    assert [id_ for id_, _ in kept] == ["1", "2"]
    again = ExactDuplicate(SETTINGS)
    again.recall([Memory(kept[0][1]), Memory(kept[1][1], "2")])
    new = Record("4", {"text": "new"})
    assert again([new, Record("5", {"text": "NEW"}), Record("6", {"text": "Old"})], context) == [
        new, Drop("duplicate"), Drop("duplicate"),
    ]  # fmt: skip
    # A record that comes again is no copy of itself, but of what others have said, and others are copies of it.
    own = Record("2", {"text": "open"})
    assert again([Record("7", {"text": "open"}), own, own.with_columns(text="old")], context) == [
        Drop("duplicate"), own, Drop("duplicate"),
    ]  # fmt: skip


def test_a_missing_column_raises_before_anything_is_remembered() -> None:
    stage, context = ExactDuplicate(SETTINGS), StageContext("dup", SETTINGS)
    good = Record("1", {"text": "a"})
    with pytest.raises(MissingColumn):
        stage([good, Record("2", {})], context)
    assert stage([good], context) == [good]


def test_lone_surrogates_are_text() -> None:
    assert normalised("\ud800 X", ("case",)) == "\ud800 x"
    assert kept(["\ud800", "\ud800"]) == ["\ud800"]
