from __future__ import annotations

import pytest

from streamgen.errors import MissingColumn
from streamgen.record import Record
from streamgen.text import text_of, words


def test_words_of_scripts_without_spaces_are_characters() -> None:
    assert words("東京タワー is tall") == ["東", "京", "タ", "ワ", "ー", "is", "tall"]


def test_words_are_folded_and_keep_apostrophes_inside() -> None:
    assert words("It’s DON'T, 'quoted' Straße") == ["it’s", "don't", "quoted", "strasse"]


def test_text_without_words_has_none() -> None:
    assert words("") == words("?! -- 🙂") == []


def test_null_is_empty_and_numbers_are_written_out() -> None:
    record = Record("1", {"a": None, "b": 7})
    assert (text_of(record, "a", "s"), text_of(record, "b", "s")) == ("", "7")


def test_a_missing_column_names_the_stage_and_the_columns_that_there_are() -> None:
    with pytest.raises(MissingColumn, match=r"'short' reads the column 'txt'.*did you mean 'text'.* label, text"):
        text_of(Record("1", {"text": "x", "label": "y"}), "txt", "short")
