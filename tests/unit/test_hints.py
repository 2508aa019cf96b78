from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from streamgen import registry
from streamgen.context import Context
from streamgen.decode import decode
from streamgen.engine.stage import Kind, Result, kind_of
from streamgen.errors import PluginError
from streamgen.record import Record

if TYPE_CHECKING:
    from streamgen.settings import Settings

UNREADABLE = r"cannot be read: name 'Settings' is not defined; import what they name at run time"


def hidden(record: Record, context: Context[Settings]) -> Result:
    return record


def hidden_first(records: Sequence[Settings], context: Any) -> Any:
    return records


@wraps(hidden)
def wrapped(*arguments: Any) -> Any:
    return hidden(*arguments)


class Hidden:
    def __init__(self, settings: Settings) -> None: ...


class HiddenField(msgspec.Struct):
    inner: Settings | None = None


@pytest.mark.parametrize("factory", [hidden, hidden_first, Hidden])
def test_settings_that_cannot_be_read_are_told_with_the_place_and_the_remedy(factory: Any) -> None:
    with pytest.raises(PluginError, match=f"the annotations of {__name__}:{factory.__name__}.* {UNREADABLE}"):
        registry.settings_type(factory)


def test_a_struct_that_cannot_be_read_is_told() -> None:
    with pytest.raises(PluginError, match=f"the annotations of {__name__}:HiddenField {UNREADABLE}"):
        decode({}, HiddenField)


def test_how_a_handler_is_called_needs_the_first_annotation_only() -> None:
    assert kind_of(hidden) is kind_of(wrapped) is Kind.INLINE
    with pytest.raises(PluginError, match=f"the annotations of {__name__}:hidden_first {UNREADABLE}"):
        kind_of(hidden_first)


def test_a_handler_may_name_a_class_of_the_function_that_it_stands_in() -> None:
    class Local: ...

    def handler(records: Sequence[Record], context: Context[Local]) -> Sequence[Result]:
        return records

    assert kind_of(handler) is Kind.BATCH
