from __future__ import annotations

import msgspec
import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingColumn
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
