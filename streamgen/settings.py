"""The base of every stage's settings: a frozen struct whose fields are the keys of the stage in a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from streamgen.record import Value

FilePath: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, extra={"is_file": True})]
"""The path of a file that a stage reads; in a recipe it is relative to the recipe's own folder."""


FunctionName: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, extra={"is_function": True})]
"""A user's function as "module:function", beside the recipe or installed; what is beside it becomes a path."""

StageTables: TypeAlias = Annotated[tuple[Mapping[str, Any], ...], msgspec.Meta(extra={"is_stages": True})]
"""Tables of stages within a stage, each with its `type` and settings; the paths in them become absolute too."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one stage. A trial replaces fields of it; every field may stand in a search space.

    A field named `model` names an entry of the recipe's `models`.
    """

    def check(self) -> None:
        """Raise ValueError, with the field's name first, for values that do not go together."""

    def asked_models(self) -> tuple[str, ...]:
        """The entries of the recipe's `models` that the stage calls."""
        model = getattr(self, "model", None)
        return (model,) if isinstance(model, str) else ()

    def reads(self) -> frozenset[str] | None:
        """Columns that the stage needs; None where that cannot be told."""
        return frozenset()

    def writes(self) -> frozenset[str] | None:
        """Columns that the stage adds to its record; None where that cannot be told."""
        return frozenset()

    def meanings(self) -> Mapping[str, Value]:
        """What settings stand for that only name it (a file, a type), by setting: a run goes on only with the same."""
        return {}
