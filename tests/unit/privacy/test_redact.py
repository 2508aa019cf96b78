from __future__ import annotations

import re
from typing import Literal

import msgspec
import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingColumn, RecipeError
from streamgen.privacy.redact import RedactSettings, redact
from streamgen.record import Record, encode


def redacted(columns: dict[str, object], settings: RedactSettings | None = None) -> Result:
    return redact(Record("1", columns), StageContext("pii", settings or RedactSettings()))


def test_every_text_is_masked_and_only_counts_are_kept() -> None:
    result = redacted({"a": "jo@example.org, al@example.org", "b": "ip 10.0.0.1", "c": 7, "d": None})
    assert isinstance(result, Record)
    assert result.columns == {"a": "[EMAIL], [EMAIL]", "b": "ip [IP]", "c": 7, "d": None}
    assert result.meta.scores == {"pii.email": 2.0, "pii.ip": 1.0}
    assert b"example" not in encode(result)


def test_texts_in_lists_and_objects_are_masked() -> None:
    result = redacted({"messages": [{"role": "user", "content": "I am jo@example.org"}]})
    assert isinstance(result, Record)
    assert result["messages"] == [{"role": "user", "content": "I am [EMAIL]"}]


def test_named_columns_and_types_only() -> None:
    columns = {"a": "jo@example.org 10.0.0.1", "b": "jo@example.org"}
    result = redacted(columns, RedactSettings(columns=("a",), types=("email",)))
    assert isinstance(result, Record)
    assert result.columns == {"a": "[EMAIL] 10.0.0.1", "b": "jo@example.org"}


def test_records_with_personal_data_can_be_dropped() -> None:
    assert redacted({"a": "jo@example.org"}, RedactSettings(action="drop")) == Drop("personal_data")


@pytest.mark.parametrize("text", ["", "nothing here", "こんにちは"])
def test_a_record_without_personal_data_is_the_same_object(text: str) -> None:
    record = Record("1", {"a": text})
    assert redact(record, StageContext("pii", RedactSettings(action="drop"))) is record


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MissingColumn, match="'pii' reads the column 'txt'"):
        redacted({"text": "x"}, RedactSettings(columns=("txt",)))


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="types"):
        msgspec.convert({"types": ["name"]}, RedactSettings)


def hashes(text: str, key: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setenv("PII_KEY", key)
    return redacted({"a": text}, RedactSettings(action="hash", key="env:PII_KEY"))


def test_the_same_value_has_the_same_hash_under_one_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    one = hashes("jo@example.org", "k1", monkeypatch)
    again = hashes("jo@example.org", "k1", monkeypatch)
    other = hashes("jo@example.org", "k2", monkeypatch)
    assert isinstance(one, Record) and isinstance(again, Record) and isinstance(other, Record)
    assert re.fullmatch(r"\[EMAIL:[a-p]{16}\]", str(one["a"]))
    assert one["a"] == again["a"] != other["a"]


def test_a_replacement_is_the_same_within_a_record_or_the_run() -> None:
    def replaced(record_id: str, consistent: Literal["record", "run"]) -> list[str]:
        settings = RedactSettings(action="replace", consistent=consistent)
        record = Record(record_id, {"a": "jo@test.org jo@test.org"})
        result = redact(record, StageContext("pii", settings))
        assert isinstance(result, Record)
        return str(result["a"]).split(" ")

    one, other = replaced("1", "record"), replaced("2", "record")
    assert one[0] == one[1] != other[0] == other[1]
    assert "@" in one[0] and "jo@test.org" not in one
    assert replaced("1", "run") == replaced("2", "run")


def test_a_hash_without_a_key_and_a_key_in_plain_are_refused() -> None:
    with pytest.raises(ValueError, match="`key` must name an environment variable"):
        RedactSettings(action="hash").check()
    with pytest.raises(msgspec.ValidationError, match="key"):
        msgspec.convert({"action": "hash", "key": "secret"}, RedactSettings)


def test_a_key_that_is_not_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PII_KEY", raising=False)
    with pytest.raises(RecipeError, match="PII_KEY is not set"):
        RedactSettings(action="hash", key="env:PII_KEY").check()
