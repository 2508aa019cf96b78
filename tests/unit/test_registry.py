from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from streamgen import registry
from streamgen.context import Context, StageContext
from streamgen.engine.stage import Result
from streamgen.errors import PluginError, UnknownName
from streamgen.generate.chat import ChatSettings, chat
from streamgen.record import Record


@pytest.mark.parametrize("group", sorted(registry.BUILTIN))
def test_every_name_that_is_built_in_can_be_loaded(group: str) -> None:
    for name in registry.BUILTIN[group]:
        assert callable(registry.find(group, name))


def test_an_unknown_name_lists_the_known_ones_and_its_place() -> None:
    with pytest.raises(UnknownName) as caught:
        registry.find("stages", "chatt", "$.stages[0].type")
    known = ", ".join(registry.names("stages"))
    assert f"unknown stage type 'chatt'; did you mean 'chat'? known: {known} " in str(caught.value)
    assert str(caught.value).endswith("- at `$.stages[0].type`")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two extensions of another package: one that works, one that does not."""

    def entry_points(group: str) -> list[EntryPoint]:
        made = [("good", "streamgen.generate.chat:chat"), ("broken", "streamgen.nothing:here")]
        return [EntryPoint(name, value, group) for name, value in made if group == "streamgen.stages"]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)


@pytest.mark.usefixtures("installed")
def test_extensions_are_found_by_name_and_only_the_named_one_is_loaded() -> None:
    assert registry.find("stages", "good") is chat
    assert {"good", "broken", "chat"} <= set(registry.names("stages"))
    assert "good" not in registry.names("sinks")


@pytest.mark.usefixtures("installed")
def test_a_broken_extension_is_an_error_that_names_it() -> None:
    with pytest.raises(PluginError, match=r"the stage 'broken' of streamgen\.nothing:here cannot be loaded: Module"):
        registry.find("stages", "broken")


async def awaiting(record: Record, context: Context[ChatSettings]) -> Result:
    return record


def batch(records: Sequence[Record], context: StageContext[ChatSettings]) -> Sequence[Result]:
    return records


class Class:
    def __init__(self, settings: ChatSettings) -> None: ...


def bare(record: Record, context: Any) -> Result:
    return record


@pytest.mark.parametrize(
    ("factory", "settings"), [(awaiting, ChatSettings), (batch, ChatSettings), (Class, ChatSettings), (bare, None)]
)
def test_settings_are_read_off_the_signature(factory: Any, settings: type | None) -> None:
    assert registry.settings_type(factory) is settings
