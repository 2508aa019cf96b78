from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import ODD, reasons, records

from streamgen.context import StageContext
from streamgen.errors import RecipeError
from streamgen.quality.contamination import ContaminationSettings, contamination
from streamgen.quality.overlaps import Case, OverlapIndex
from streamgen.recipe import Recipe
from streamgen.record import Record

QUESTION = "How many legs do three spiders and one ant have together?"


@pytest.fixture
def tests(tmp_path: Path) -> str:
    (tmp_path / "bench.jsonl").write_text(
        '{"question": "Which river flows through the city of Cologne in Germany?", "answer": "Rhine"}\n\n'
        f'{{"question": "{QUESTION}", "choices": ["30", "thirty is the number of legs here"]}}\n'
    )
    return str(tmp_path / "bench.jsonl")


def settings(tests: str, **more: object) -> ContaminationSettings:
    made = ContaminationSettings(columns=("text",), tests=(tests,), test_columns=("question", "choices"), **more)  # type: ignore[arg-type]
    made.check()
    return made


def test_a_text_with_a_run_of_words_of_a_test_is_dropped(tests: str) -> None:
    chosen = settings(tests, ngram=8)
    texts = [
        f"Tell me: {QUESTION.upper()} Thanks.",
        "how many legs do three spiders and one",
        "how many legs do three spiders and two ants",  # seven in a row
        "Well, thirty is the number of legs here",  # a short test as a whole
        "thirty is the number of legs",
        "how many legs do three spiders, and one",
    ]
    dropped = "contaminated"
    assert reasons(contamination, chosen, texts) == [dropped, dropped, None, dropped, None, dropped]
    assert reasons(contamination, chosen, ODD) == [None] * len(ODD)


def test_the_span_and_its_test_stand_in_the_provenance(tests: str) -> None:
    chosen = settings(tests, ngram=5, shortest=5, action="tag")
    text = "Ants have many legs: do three spiders and one ant have legs? And the city of Cologne in Germany?"
    clean, tagged = contamination(records("nothing here", text), StageContext("known", chosen))
    assert isinstance(clean, Record) and clean.meta.scores == {"known": 0.0} and not clean.meta.verdicts
    assert isinstance(tagged, Record)
    assert tagged.meta.verdicts == {"known": "bench.jsonl:3: many legs do three spiders and one ant have"}
    assert tagged.meta.scores == {"known": (9 + 6) / 19}


def test_every_column_is_looked_at(tests: str) -> None:
    chosen = ContaminationSettings(columns=("a", "b"), tests=(tests,), test_columns=("question",), ngram=8)
    rows = [
        Record("0", {"a": QUESTION, "b": ""}),
        Record("1", {"a": "", "b": QUESTION}),
        Record("2", {"a": "", "b": 1}),
    ]
    found = contamination(rows, StageContext("known", chosen))
    assert [isinstance(each, Record) for each in found] == [False, False, True]


def test_texts_have_one_test_a_line_also_compressed(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "tests.txt.gz", "wt") as file:
        file.write(f"a first line of six words\n{QUESTION}\n")
    chosen = ContaminationSettings(columns=("text",), tests=(str(tmp_path / "tests.txt.gz"),), action="tag")
    (found,) = contamination(records("It is a first line of six words"), StageContext("known", chosen))
    assert isinstance(found, Record)
    assert found.meta.verdicts == {"known": "tests.txt.gz:1: a first line of six words"}


@pytest.mark.parametrize(
    ("content", "columns", "said"),
    [
        ("[1]", ("q",), "line 1 is no JSON object"),
        ('{"a": 1}', ("q", "r"), "none of the columns q, r; it has: a"),
        ('{"q": "too short"}', ("q",), "no test has 6 words"),
        ('{"q": "a b c d e f g"}', (), "name the columns to compare"),
    ],
)
def test_a_file_that_holds_no_tests_is_refused(
    tmp_path: Path, content: str, columns: tuple[str, ...], said: str
) -> None:
    (tmp_path / "bad.jsonl").write_text(content)
    with pytest.raises(RecipeError, match=said):
        ContaminationSettings(columns=("t",), tests=(str(tmp_path / "bad.jsonl"),), test_columns=columns).check()


@pytest.mark.parametrize("name", ["tests.json", "tests.parquet", "tests.csv.gz"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('[{"question": "a b c d e f g"}]')
    with pytest.raises(RecipeError, match=r"neither JSON lines nor text: known are \.jsonl, \.ndjson, \.txt, \.md"):
        ContaminationSettings(columns=("t",), tests=(str(tmp_path / name),)).check()


def test_files_are_found_beside_the_recipe(tests: str, tmp_path: Path) -> None:
    stage = {"name": "known", "type": "contamination", "columns": ["text"], "test_columns": ["question"]}
    raw = {"source": {"type": "list", "rows": [{"text": "a"}]}, "stages": [{**stage, "tests": ["bench.jsonl"]}]}
    (spec,) = Recipe.parse(raw, tmp_path).stages
    assert isinstance(spec.settings, ContaminationSettings) and spec.settings.tests == (tests,)
    with pytest.raises(RecipeError, match=r"there is no file .*nope.jsonl - at `\$.stages\[0\].tests\[1\]`"):
        Recipe.parse({**raw, "stages": [{**stage, "tests": ["bench.jsonl", "nope.jsonl"]}]}, tmp_path)


def test_lengths_that_do_not_go_together_are_refused(tests: str) -> None:
    with pytest.raises(ValueError, match="shortest: 6 is above ngram = 4"):
        settings(tests, ngram=4)


WORDS = st.lists(st.sampled_from("abc"), max_size=9)


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, max_size=4), st.integers(2, 4), st.integers(1, 2))
def test_the_covered_words_are_those_of_the_definition(
    tests: list[list[str]], documents: list[list[str]], n: int, shortest: int
) -> None:
    index = OverlapIndex([Case(str(number), words) for number, words in enumerate(tests)], n, shortest)
    for words, found in zip(documents, index.overlaps(documents), strict=True):
        covered = set()
        for test in tests:
            size = min(n, len(test))
            grams = {tuple(test[i : i + size]) for i in range(len(test) - size + 1)} if len(test) >= shortest else set()
            for i in range(len(words) - size + 1):
                covered.update(range(i, i + size) if tuple(words[i : i + size]) in grams else ())
        assert (found.covered if found else 0) == len(covered)
        if found:
            assert covered.issuperset(range(found.start, found.end))
