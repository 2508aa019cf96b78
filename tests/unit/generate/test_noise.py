from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from asking import asking
from hypothesis import given
from hypothesis import strategies as st

from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingColumn
from streamgen.generate.noise import _NEIGHBOURS, NoiseSettings, noise
from streamgen.record import Record

TEXT = "Play the new song by Nina Simone in 1964."


def made(text: object, *, ticket: int = 0, **fields: object) -> Result:
    context, _ = asking(msgspec.convert(fields, NoiseSettings), [], ticket=ticket)
    return noise(Record("0", {"text": text, "label": "x"}), context)


def text_made(text: str, **fields: object) -> str:
    result = made(text, **fields)
    assert isinstance(result, Record)
    assert result["label"] == "x"
    return str(result["text"])


def test_the_same_ticket_makes_the_same_slips_and_another_one_others() -> None:
    assert made(TEXT) == made(TEXT) != made(TEXT, ticket=1)


@pytest.mark.parametrize(
    ("slip", "expected"),
    [("double", "Piiaannoo 19"), ("omit", "P 19"), ("swap", "Piano 19")],
)
def test_every_letter_but_the_first_can_be_hit_and_no_digit(slip: str, expected: str) -> None:
    result = made("Piano 19", characters=1.0, character_slips=[slip])
    if slip == "swap":  # each letter changes places with the next, so that the second one ends up last
        expected = "Panoi 19"
    assert isinstance(result, Record)
    assert result["text"] == expected


def test_a_neighbour_is_a_key_that_touches_and_keeps_its_case() -> None:
    assert [sorted(_NEIGHBOURS[key]) for key in "qgm"] == [["a", "w"], ["b", "f", "h", "t", "v", "y"], ["j", "k", "n"]]
    assert all(key in _NEIGHBOURS[other] for key, others in _NEIGHBOURS.items() for other in others)
    new = text_made("gGG", characters=1.0, character_slips=["neighbour"])
    assert new[0] == "g"
    assert new[1:].isupper() and set(new[1:].lower()) <= set(_NEIGHBOURS["g"])


@pytest.mark.parametrize(("slip", "expected"), [("repeat", "a a b b c c"), ("swap", "b c a")])
def test_words_are_repeated_or_change_places(slip: str, expected: str) -> None:
    assert text_made("a b c", characters=0.0, words=1.0, word_slips=[slip]) == expected


def test_a_word_that_is_left_out_takes_its_space_along() -> None:
    texts = {text_made("one two three four", ticket=n, characters=0.0, words=0.4, word_slips=["omit"], tries=100)
             for n in range(20)}  # fmt: skip
    assert all(set(text.split()) < {"one", "two", "three", "four"} for text in texts)
    assert all("  " not in text for text in texts)
    assert len(texts) > 3


def test_where_all_would_be_left_out_the_text_is_unchanged() -> None:
    assert made("one two", characters=0.0, words=1.0, word_slips=["omit"]) == Drop("unchanged")


def test_several_different_texts_are_made_beside_the_original() -> None:
    result = made(TEXT, n=5, characters=0.2, keep_original=True)
    assert isinstance(result, list)
    texts = [record["text"] for record in result]
    assert texts[0] == TEXT
    assert len(set(texts)) == len(texts) == 6


def test_about_the_share_of_letters_that_was_asked_for_is_hit() -> None:
    text = "abcdefghij " * 2000
    new = text_made(text, characters=0.1, character_slips=["double"])
    assert 1600 < len(new) - len(text) < 2000  # nine of ten letters can be hit: 1,800 are expected, deviation 40


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), (" \n", "empty"), (None, "empty"), ("a 1 2", "unchanged"), ("word " * 2_000_000, "too_long")],
)
def test_what_cannot_slip_is_dropped(text: object, reason: str) -> None:
    assert made(text, characters=1.0) == Drop(reason)


def test_letters_without_a_key_stay() -> None:
    assert made("天気がいい", characters=1.0, character_slips=["neighbour"]) == Drop("unchanged")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MissingColumn, match="'stage' reads the column 'body'"):
        made(TEXT, column="body")


def test_noise_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^characters: "):
        NoiseSettings(characters=0.0).check()


@given(st.text(max_size=200), st.floats(0.0, 1.0), st.floats(0.01, 1.0), st.integers(0, 5))
def test_any_text_gives_another_text_or_a_reason(text: str, characters: float, words: float, ticket: int) -> None:
    result = made(text, characters=characters, words=words, ticket=ticket)
    if isinstance(result, Drop):
        assert result.reason in {"empty", "unchanged"}
    else:
        assert isinstance(result, Record)
        assert result["text"] != text


@given(st.text(alphabet="abc 1", min_size=1, max_size=60))
def test_words_that_change_places_are_the_same_words(text: str) -> None:
    result = made(text, characters=0.0, words=0.5, word_slips=["swap"])
    if isinstance(result, Record):
        assert Counter(result["text"].split()) == Counter(text.split())
