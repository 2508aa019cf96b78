from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import pytest

from streamgen.decode import decode, need_table
from streamgen.errors import RecipeError, UnknownName


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    width: Annotated[int, msgspec.Meta(ge=1)]
    size: int = msgspec.field(default=0, name="measure")


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    inner: Inner | None = None
    many: list[Inner] = []
    mode: int | Literal["auto", "off"] = "auto"
    named: Mapping[str, Inner] = {}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"iner": 1}, "unknown setting 'iner'; did you mean 'inner'? known: inner, many, mode, named - at `$.x`"),
        ({"inner": {"with": 1}}, "'with'; did you mean 'width'? known: measure, width - at `$.x.inner`"),
        ({"many": [{"width": 1}, {"w": 1}]}, "unknown setting 'w'; known: measure, width - at `$.x.many[1]`"),
        ({"named": {"a": {"meassure": 1}}}, "did you mean 'measure'? known: measure, width - at `$.x.named[...]`"),
        ({"inner": {}}, "the required setting is missing: `width` - at `$.x.inner`"),
        ({"inner": {"width": 0}}, "Expected `int` >= 1 - at `$.x.inner.width`"),
        ({"many": 3}, "Expected `array`, got `int` - at `$.x.many`"),
        ({"mode": "of"}, "Invalid enum value 'of'; allowed: int, 'auto', 'off' - at `$.x.mode`"),
        (3, "Expected `object`, got `int` - at `$.x`"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place_and_the_known_names(raw: Any, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        decode(raw, Outer, "$.x")
    assert str(caught.value).endswith(said)
    assert isinstance(caught.value, UnknownName) == ("known: " in said)


def test_what_fits_is_converted() -> None:
    assert decode({"inner": {"width": 2, "measure": 3}}, Outer) == Outer(inner=Inner(2, 3))


@pytest.mark.parametrize("raw", [{"inner": {"width": "2"}}, {"inner": {"width": 2.0, "measure": "x"}}])
def test_nothing_is_guessed(raw: Any) -> None:
    with pytest.raises(RecipeError, match="Expected `int`"):
        decode(raw, Outer)


def test_a_table_is_asked_for_in_words() -> None:
    with pytest.raises(RecipeError, match=r"a table of settings is needed here, not list - at `\$\.models\.main`"):
        need_table([], "$.models.main")
