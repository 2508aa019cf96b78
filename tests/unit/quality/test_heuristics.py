"""The rules of Gopher, C4 and FineWeb: each with a text on either side of its bound."""

from __future__ import annotations

import msgspec
import pytest
from judging import ODD, reason, reasons

from streamgen.context import StageContext
from streamgen.quality.c4 import C4Settings, c4
from streamgen.quality.fineweb import FineWebSettings, fineweb
from streamgen.quality.gopher_quality import GopherQualitySettings, gopher_quality
from streamgen.quality.gopher_repetition import GopherRepetitionSettings, gopher_repetition, shares_of
from streamgen.quality.lines import paragraphs_of, repeated
from streamgen.record import Record

PROSE = "The harbour was quiet that morning, and the boats had come to rest with their nets in the sun. " * 3
OFF = GopherQualitySettings(
    column="text",
    min_words=None,
    max_words=None,
    min_mean_word=None,
    max_mean_word=None,
    max_symbols=None,
    max_bullet_lines=None,
    max_ellipsis_lines=None,
    min_alphabetic=None,
    min_stop_words=None,
)


def quality(**rules: object) -> GopherQualitySettings:
    return msgspec.structs.replace(OFF, **rules)


def test_prose_breaks_no_rule() -> None:
    assert reason(gopher_quality, GopherQualitySettings(column="text"), PROSE) is None
    assert reason(c4, C4Settings(column="text", min_sentences=3), PROSE) is None
    assert reason(fineweb, FineWebSettings(column="text"), PROSE) is None


@pytest.mark.parametrize(
    ("rules", "kept", "dropped", "why"),
    [
        ({"min_words": 3}, "a b c", "a b", "too_few_words"),
        ({"max_words": 2}, "a b", "a b c", "too_many_words"),
        ({"min_mean_word": 2.0}, "a bcd", "a bc", "short_words"),
        ({"max_mean_word": 2.0}, "a bcd", "a bcde", "long_words"),
        ({"max_symbols": 0.5}, "#a b", "##a b", "hash_signs"),
        ({"max_symbols": 0.5}, "a... b", "a... b…", "ellipses"),
        ({"max_bullet_lines": 0.5}, "- a\nb", "- a\n• b\nc", "bullet_lines"),
        ({"max_ellipsis_lines": 0.5}, "a...\nb", "a...\nb…\nc", "ellipsis_lines"),
        ({"min_alphabetic": 0.5}, "a 1", "a 1 2", "non_alphabetic"),
        ({"min_stop_words": 2}, "The cat and", "the the cat", "few_stop_words"),
    ],
)
def test_each_rule_of_gopher_has_its_bound(rules: dict[str, object], kept: str, dropped: str, why: str) -> None:
    assert reasons(gopher_quality, quality(**rules), [kept, dropped]) == [None, why]


def test_with_every_rule_off_nothing_is_dropped() -> None:
    assert reasons(gopher_quality, OFF, ODD) == [None] * len(ODD)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"min_words": 9, "max_words": 2}, "min_words: 9 is above max_words = 2"),
        ({"min_mean_word": 9.0, "max_mean_word": 2.0}, "min_mean_word: 9.0 is above"),
        ({"min_stop_words": 9}, "min_stop_words: 9 of 8"),
    ],
)
def test_bounds_that_nothing_passes_are_refused(rules: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        quality(**rules).check()


def test_a_text_that_repeats_itself_is_dropped_with_the_rule() -> None:
    settings = GopherRepetitionSettings(column="text")
    distinct = [f"this is line number {n} of many different ones" for n in range(10)]
    lines = "\n".join(distinct[:6] + distinct[:1] * 4)
    paragraphs = "\n\n".join(distinct[:3] * 2)
    words = " ".join(f"w{n}" for n in range(100))
    looped = f"{words} {' '.join(f'w{n}' for n in range(20))}"  # 50 of 340 characters: .147
    found = reasons(gopher_repetition, settings, [words, lines, paragraphs, "no no no no", looped])
    assert found == [None, "repeated_lines", "repeated_paragraphs", "top_2_gram", "repeated_6_gram"]


def test_shares_are_those_of_the_definition_in_any_batch() -> None:
    one, other = ["a", "b", "c", "a", "b", "d", "a", "b"], ["x", "y", "x", "y", "x"]
    rules = {"top_2_gram": None, "repeated_2_gram": None, "top_3_gram": None}
    # "a b" comes three times: 6 of 8 characters, 4 of them repeats. No run of three comes twice.
    assert shares_of([one], rules) == {"top_2_gram": [0.75], "repeated_2_gram": [0.5], "top_3_gram": [0.0]}
    # "x y" and "y x" come twice each: the first one counts, on four words; repeats are "x y" and "y x" on three.
    together = shares_of([one, [], other, ["x"]], rules)
    assert together["top_2_gram"] == [0.75, 0.0, 0.8, 0.0]
    assert together["repeated_2_gram"] == [0.5, 0.0, 0.6, 0.0]
    assert together["top_3_gram"] == [0.0, 0.0, 1.0, 0.0]  # "x y x" twice, overlapping: each character counts once
    assert shares_of([], rules) == {"top_2_gram": [], "repeated_2_gram": [], "top_3_gram": []}


def test_repeats_of_lines_count_by_number_and_by_character() -> None:
    assert repeated(["a", "bc", "a", "a"]) == (0.5, 0.4)
    assert repeated([]) == (0.0, 0.0)
    assert paragraphs_of("a\nb\n\n \nc\n") == ["a\nb", "c"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("One two three. " * 5, None),
        ("Lorem IPSUM dolor sit amet. " * 5, "lorem_ipsum"),
        ("if (x) { return; }", "curly_bracket"),
        ("One two three. " * 4, "too_few_sentences"),
        ("no end here\n" * 9, "too_few_sentences"),
        ("Enable JavaScript to go on.\n" * 9, "too_few_sentences"),
        ("We use cookies on this site.\n" * 9, "too_few_sentences"),
        ("Two words.\n" * 9, "too_few_sentences"),
        (f"One two {'x' * 1001}.\n" * 9, "too_few_sentences"),
        ("To be continued soon...\n" * 9, "too_few_sentences"),
        ("今天下雨了。" * 5, None),
        ("", "too_few_sentences"),
    ],
)
def test_each_rule_of_c4(text: str, why: str | None) -> None:
    assert reason(c4, C4Settings(column="text"), text) == why


def test_c4_rewrites_only_where_it_is_asked_to() -> None:
    text = "A title\nThe first good line.\nMenu\nThe second good line.\n"
    settings = C4Settings(column="text", min_sentences=2, rewrite=True)
    result = c4(Record("1", {"text": text}), StageContext("c4", settings))
    assert isinstance(result, Record) and result["text"] == "The first good line.\nThe second good line."
    assert (settings.writes(), C4Settings(column="text").writes()) == ({"text"}, frozenset())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no end\n" * 9 + "One line of many that ends as it should.", "no_terminal_punctuation"),
        ("Short.\n" * 3 + "One line of many that is no short one at all.", "short_lines"),
        ("The same long line of text again and again.\n" * 2, "repeated_lines"),
        ("a line of forty characters in two words.\n\n\n\n\n\n\n\n" * 2, "repeated_lines"),
        (f"{'x' * 40}.\n\n{'y' * 40}.", "line_breaks"),
        ("", "no_terminal_punctuation"),
    ],
)
def test_each_rule_of_fineweb(text: str, why: str) -> None:
    assert reason(fineweb, FineWebSettings(column="text"), text) == why


@pytest.mark.parametrize(
    ("handler", "settings"),
    [
        (gopher_quality, GopherQualitySettings(column="text")),
        (gopher_repetition, GopherRepetitionSettings(column="text")),
        (c4, C4Settings(column="text")),
        (fineweb, FineWebSettings(column="text")),
    ],
)
def test_odd_and_huge_texts_are_ordinary(handler: object, settings: object) -> None:
    for text in [*ODD, "word " * 400_000, "x" * 2_000_000, "\n" * 200_000]:
        reason(handler, settings, text)  # type: ignore[arg-type]


def test_only_the_chosen_rules_of_fineweb_count() -> None:
    menu = "Home\nNews\nShop"
    assert reason(fineweb, FineWebSettings(column="text"), menu) == "no_terminal_punctuation"
    assert reason(fineweb, FineWebSettings(column="text", rules=("short", "breaks")), menu) == "short_lines"
    assert reason(fineweb, FineWebSettings(column="text", rules=("breaks",)), menu) == "line_breaks"
    assert reasons(fineweb, FineWebSettings(column="text", rules=("repeated",)), [menu, *ODD]) == [None] * (
        1 + len(ODD)
    )


def test_bounds_that_every_text_keeps_turn_the_rules_of_gopher_off() -> None:
    off = GopherQualitySettings(
        column="text", min_words=0, max_words=10**9, min_mean_word=0.0, max_mean_word=1e9, max_symbols=1e9,
        max_bullet_lines=1.0, max_ellipsis_lines=1.0, min_alphabetic=0.0, min_stop_words=0,
    )  # fmt: skip
    ones = {name: 1.0 for name in GopherRepetitionSettings.__struct_fields__ if name != "column"}
    texts = [*ODD, "- #...", "a a a a a a a a", "a\n" * 9]
    assert reasons(gopher_quality, off, texts) == [None] * len(texts)
    assert reasons(gopher_repetition, GopherRepetitionSettings(column="text", **ones), texts) == [None] * len(texts)
