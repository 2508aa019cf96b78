from __future__ import annotations

import pytest

from streamgen.metrics.readability import Readability, ReadabilitySettings, Text, measured, syllables
from streamgen.record import Record, Value
from streamgen.text import words


def told(*texts: Value) -> dict[str, Value]:
    metric = Readability(ReadabilitySettings(column="text"))
    metric.update([Record(str(n), {"text": text}) for n, text in enumerate(texts)])
    return metric.result()


def test_scores_are_those_of_the_formulas() -> None:
    result = told("The cat sat on the mat. It was happy.")  # 9 words, 2 sentences, 10 syllables, 27 letters
    assert result["flesch_reading_ease"]["mean"] == pytest.approx(206.835 - 1.015 * 4.5 - 84.6 * 10 / 9)
    assert result["flesch_kincaid_grade"]["mean"] == pytest.approx(0.39 * 4.5 + 11.8 * 10 / 9 - 15.59)
    assert result["automated_readability_index"]["mean"] == pytest.approx(4.71 * 27 / 9 + 0.5 * 4.5 - 21.43)
    assert (result["words_per_sentence"], result["syllables_per_word"]) == (4.5, 10 / 9)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One", 1),
        ("One.", 1),
        ("One. Two", 2),
        ("What?! No...", 2),
        ("3.5 is 1.2.", 1),
        ('"Hi." He left.', 2),
        ("A\nB", 1),
    ],
)
def test_sentences(text: str, sentences: int) -> None:
    assert measured(text, words(text)).sentences == sentences


def test_texts_that_the_formulas_are_not_for_are_left_out() -> None:
    result = told("", None, "東京は大きい", "Привет, мир", "...", "Fine words.")
    assert result["left_out"] == 5
    assert result["flesch_reading_ease"]["count"] == 1


def test_nothing_is_measured_of_nothing() -> None:
    result = told()
    assert (result["words_per_sentence"], result["flesch_kincaid_grade"]["mean"], result["left_out"]) == (None, None, 0)


def test_of_a_word_without_end_the_beginning_counts() -> None:
    text = "ba" * 1_000_000
    assert measured(text, [text]) == Text(1, 1, 30, 2_000_000)


def test_a_text_needs_a_word_only() -> None:
    assert measured("x", ["x"]) == Text(1, 1, 1, 1)


SYLLABLES = {
    1: "the you tree eye queue strength asked rhymes cake moved loved clothes true year yes world through",
    2: "water table wanted ended being doing quiet poet science lion going language people question houses watches "
    "changes hopeful careless likely nation special social value purchase",
    3: "video idea radio family instruction computer national animal position yesterday behaviour media continue",
    4: "information population education continuous",
    5: "university imagination",
}


@pytest.mark.parametrize(("count", "found"), SYLLABLES.items())
def test_syllables_of_common_words(count: int, found: str) -> None:
    assert {word: syllables(word) for word in found.split()} == dict.fromkeys(found.split(), count)
