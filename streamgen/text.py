"""What stages mean by the text of a column and by its words."""

from __future__ import annotations

import re

from streamgen.errors import MissingColumn
from streamgen.record import Record, Value

# Chinese, Japanese and Thai are written without spaces: there, each character counts as a word.
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ANY_WORD = rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*"
_ASCII_WORD = re.compile(r"\w+(?:'\w+)*", re.ASCII)


def text_of(record: Record, column: str, stage: str) -> str:
    """The column as text: "" for null, `str()` of anything that is no string.

    Raises MissingColumn, which names the stage and the columns that there are, where the record has no such column.
    """
    value_of(record, column, stage)
    return record.text(column)


def value_of(record: Record, column: str, stage: str) -> Value:
    """The column's value. Raises MissingColumn as `text_of` does."""
    if column not in record.columns:
        raise MissingColumn(stage, column, record.columns)
    return record.columns[column]


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation.

    >>> words("Don't panic: 東京 in 2 days!")
    ["don't", 'panic', '東', '京', 'in', '2', 'days']
    """
    folded = text.casefold()
    return _ASCII_WORD.findall(folded) if text.isascii() else re.findall(_ANY_WORD, folded)
