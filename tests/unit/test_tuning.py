from __future__ import annotations

import pytest

from streamgen.errors import RecipeError, UnknownName
from streamgen.generate.chat import ChatSettings
from streamgen.quality.length import LengthSettings
from streamgen.tuning import Tuning

BASE = {"a": ChatSettings(model="m", prompt="x", temperature=0.5), "b": LengthSettings(column="x"), "c": None}


def temperatures(tuning: Tuning, tickets: range) -> list[float | None]:
    return [tuning.for_ticket(n).stages["a"].temperature for n in tickets]  # type: ignore[union-attr]


def test_without_a_change_all_tickets_share_the_recipes_settings() -> None:
    tuning = Tuning(BASE, None)
    assert tuning.for_ticket(0) is tuning.for_ticket(10**6)
    assert (tuning.for_ticket(0).overrides, tuning.is_tuned) == ({}, False)


def test_retunes_hold_from_their_ticket_on_and_add_up() -> None:
    tuning = Tuning(BASE, None)
    assert tuning.retune(3, {"a.temperature": 1.0}) == 3
    assert tuning.retune(5, {"b.min_words": 2}) == 5
    assert tuning.retune(5, {"a.temperature": 1.5}) == 5
    assert temperatures(tuning, range(7)) == [0.5, 0.5, 0.5, 1.0, 1.0, 1.5, 1.5]
    assert tuning.for_ticket(6).overrides == {"a.temperature": 1.5, "b.min_words": 2}
    assert tuning.is_tuned


def test_settings_that_were_given_out_are_those_of_the_retune_that_holds_now() -> None:
    tuning = Tuning(BASE, None)
    given = tuning.for_ticket(0)
    tuning.retune(0, {"a.temperature": 1.0})
    assert temperatures(tuning, range(1)) == [1.0]
    assert given.overrides == {}


def test_a_retune_before_the_last_one_keeps_what_those_tickets_had() -> None:
    """On a resume, tickets that an earlier session issued may be issued again."""
    tuning = Tuning(BASE, None)
    tuning.retune(5, {"a.temperature": 1.0})
    assert tuning.retune(2, {"a.temperature": 1.5}) == 5
    assert temperatures(tuning, range(6)) == [0.5] * 5 + [1.5]


def test_numbers_are_taken_for_fractions() -> None:
    tuning = Tuning(BASE, None)
    tuning.retune(0, {"a.temperature": 1})
    assert temperatures(tuning, range(1)) == [1.0]


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("x.temperature", UnknownName, "unknown stage 'x'"),
        ("a.temprature", UnknownName, "did you mean 'temperature'"),
        ("c.x", RecipeError, "has no settings to tune"),
    ],
)
def test_what_cannot_be_tuned_is_told_and_changes_nothing(name: str, error: type[RecipeError], said: str) -> None:
    tuning = Tuning(BASE, None)
    with pytest.raises(error, match=said):
        tuning.retune(0, {name: 1.0, "a.temperature": 2.0})
    assert temperatures(tuning, range(1)) == [0.5]


def test_settings_of_long_gone_tickets_are_forgotten() -> None:
    tuning = Tuning(BASE, None)
    for ticket in range(1000):
        tuning.retune(ticket, {"a.temperature": ticket / 1000})
        tuning.for_ticket(ticket)
    assert len(tuning._cache) == 64
    assert temperatures(tuning, range(3)) == [0.0, 0.001, 0.002]
