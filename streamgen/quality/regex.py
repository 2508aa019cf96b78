"""Keeps texts by patterns of the user's, in time that is linear in the text whatever the pattern."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Annotated, Protocol

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingExtra
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of

_MOST_CHARACTERS = 10_000  # of a pattern: it is compiled into a machine whose size RE2 bounds too


class _Pattern(Protocol):
    def search(self, text: str) -> object | None: ...


class RegexSettings(Settings, frozen=True, kw_only=True):
    """Patterns of which every one of `must`, and none of `must_not`, is found in the text.

    RE2 reads them, not Python's `re`: no pattern can make it backtrack, and so there are no look-arounds and no
    back-references. Case counts unless a pattern begins with `(?i)`.
    """

    column: str
    must: tuple[Annotated[str, Meta(min_length=1, max_length=_MOST_CHARACTERS)], ...] = ()
    must_not: tuple[Annotated[str, Meta(min_length=1, max_length=_MOST_CHARACTERS)], ...] = ()

    def check(self) -> None:
        """Raise MissingExtra without RE2, ValueError for a pattern that it cannot read, and for none at all."""
        if find_spec("re2") is None:
            raise MissingExtra("the stage `regex`", "regex")
        if not self.must and not self.must_not:
            raise ValueError("must: give at least one pattern, here or in `must_not`")
        for field, patterns in (("must", self.must), ("must_not", self.must_not)):
            for pattern in patterns:
                _check(field, pattern)

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


def regex(records: Sequence[Record], context: StageContext[RegexSettings]) -> Sequence[Result]:
    """Each record, or a drop as `missing_pattern` or `forbidden_pattern`."""
    settings = context.settings
    must = [compiled(pattern) for pattern in settings.must]
    must_not = [compiled(pattern) for pattern in settings.must_not]
    texts = [_encodable(text_of(record, settings.column, context.stage)) for record in records]
    reasons = [_reason(text, must, must_not) for text in texts]
    return [Drop(reason) if reason else record for record, reason in zip(records, reasons, strict=True)]


def _reason(text: str, must: Sequence[_Pattern], must_not: Sequence[_Pattern]) -> str | None:
    if any(pattern.search(text) is None for pattern in must):
        return "missing_pattern"
    return "forbidden_pattern" if any(pattern.search(text) is not None for pattern in must_not) else None


def _encodable(text: str) -> str:
    """RE2 reads UTF-8, which has no place for half a surrogate pair."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _check(field: str, pattern: str) -> None:
    import re2

    try:
        compiled(pattern)
    except re2.error as error:
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(
            f"{field}: RE2 cannot read {pattern!r}: {said}; it has no look-arounds and no back-references"
        ) from None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> _Pattern:
    """The pattern, compiled once. Raises re2.error."""
    import re2

    options = re2.Options()
    options.log_errors = False
    found: _Pattern = re2.compile(pattern, options)
    return found
