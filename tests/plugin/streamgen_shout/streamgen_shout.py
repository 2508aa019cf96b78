"""A stage from outside: it puts a column into capitals."""

from __future__ import annotations

from streamgen import Context, Record, Settings


class ShoutSettings(Settings, frozen=True, kw_only=True):
    column: str = "text"


def shout(record: Record, context: Context[ShoutSettings]) -> Record:
    column = context.settings.column
    return record.with_columns({column: record.text(column).upper()})
