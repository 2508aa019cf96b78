"""What goes out comes back: each format in each kind of file, and from one format to another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from exports import directory_with, wish, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamgen.errors import RecipeError, UnknownName
from streamgen.export.convert import convert, format_of
from streamgen.export.deliver import deliver
from streamgen.export.formats import FORMATS
from streamgen.export.splits import shares_of
from streamgen.files import lines_of
from streamgen.record import Meta, Record, decode
from streamgen.rows import rows_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
full = texts.filter(bool)
plain = texts.filter(lambda text: "<|im_" not in text)
roles = st.sampled_from(["system", "user", "assistant", "tool"])
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


def turn(role: Any, content: Any = texts, **more: Any) -> Any:
    return st.fixed_dictionaries({"role": role, "content": content}, optional=more)


def talk(content: Any = texts, **more: Any) -> Any:
    last = turn(st.just("assistant"), content, **more)
    return st.tuples(st.lists(turn(roles, content, **more), min_size=1, max_size=4), last).map(
        lambda said: [*said[0], said[1]]
    )


def columns(optional: Any = None, **fixed: Any) -> Any:
    return st.fixed_dictionaries(fixed, optional=optional or {})


asked = turn(st.sampled_from(["system", "user"]))
answer = st.lists(turn(st.just("assistant")), min_size=1, max_size=1)
margin = {"margin": st.floats(-1e3, 1e3) | st.integers(-5, 5)}
weighted = columns(messages=talk(weight=st.sampled_from([0, 1])))
HELD = {
    "jsonl": st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), values, max_size=4),
    "text": columns(text=full),
    "alpaca": columns({"input": full, "system": full}, instruction=texts, output=texts),
    "sharegpt": columns(messages=talk()),
    "chatml": columns(messages=talk(plain)),
    "openai": weighted,
    "language-modeling": columns(text=full),
    "language-modeling-conversational": weighted,
    "prompt-completion": columns(prompt=texts, completion=texts),
    "prompt-completion-conversational": columns(prompt=st.lists(asked, min_size=1, max_size=3), completion=answer),
    "preference": columns(margin, prompt=texts, chosen=texts, rejected=texts),
    "preference-conversational": columns(
        margin, prompt=st.lists(asked, min_size=1, max_size=3), chosen=answer, rejected=answer
    ),
    "unpaired-preference": columns(prompt=texts, completion=texts, label=st.booleans()),
    "unpaired-preference-conversational": columns(
        prompt=st.lists(asked, min_size=1, max_size=3), completion=answer, label=st.booleans()
    ),
}
"""Records that a format holds all of; `parquet` and `csv` are `jsonl` in another file."""


@pytest.fixture(autouse=True, scope="module")
def files_need_not_survive_a_power_cut() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda file: None)
        yield


def there_and_back(records: Sequence[Record], format_: str, name: str, from_: str | None) -> list[Record]:
    """Written with provenance into a file of this name, and converted into records again."""
    with TemporaryDirectory() as folder:
        out, back = Path(folder) / name, Path(folder) / "back.jsonl"
        deliver(lambda: records, out, wish(format_, meta=True), lambda written: "")
        convert(out, back, wish("jsonl", meta=True), from_)
        return [decode(line) for _, line in lines_of(back)]


def test_every_format_has_records_that_it_holds() -> None:
    assert FORMATS.keys() - HELD.keys() == {"parquet", "csv"}


def with_provenance(rows: Sequence[dict[str, Any]]) -> list[Record]:
    return [
        Record(f"{n}.0", row, Meta(ticket=n, parents=(str(n),), seed=7, scores={"score": 0.5}))
        for n, row in enumerate(rows)
    ]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.parquet"])
@pytest.mark.parametrize("format_", [name for name in HELD if name != "jsonl"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_format_gives_back_the_records_that_it_holds(format_: str, name: str, data: Any) -> None:
    records = with_provenance(data.draw(st.lists(HELD[format_], min_size=1, max_size=6)))
    assert there_and_back(records, format_, name, data.draw(st.sampled_from([format_, None]))) == records


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"])
@settings(max_examples=20)
@given(rows=st.lists(HELD["jsonl"], max_size=5))
def test_lines_give_back_every_column(name: str, rows: Sequence[dict[str, Any]]) -> None:
    records = with_provenance(rows)
    assert there_and_back(records, "jsonl", name, "jsonl") == records


@settings(max_examples=60)
@given(rows=st.lists(HELD["jsonl"], min_size=1, max_size=5))
def test_parquet_gives_back_every_value_with_null_for_what_is_missing(rows: Sequence[dict[str, Any]]) -> None:
    records = [Record(str(n), row) for n, row in enumerate(rows)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    filled = [{name: row.get(name) for name in names} for row in rows]
    assert [record.columns for record in there_and_back(records, "jsonl", "out.parquet", "jsonl")] == filled


@given(rows=st.lists(st.fixed_dictionaries({"a": texts, "b": scalars}), min_size=1, max_size=5))
def test_csv_gives_back_texts_and_json_of_anything_else(rows: Sequence[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out.csv"
        deliver(lambda: [Record("", dict(row)) for row in rows], out, wish("csv"), lambda written: "")
        found = list(rows_of(out))
    for row, back in zip(rows, found, strict=True):
        assert back["a"] == row["a"]
        value = row["b"]
        assert back["b"] == value if isinstance(value, str) else json.loads(back["b"] or "null") == value


@given(st.lists(full, min_size=1, max_size=5), st.sampled_from(["\n", "\n\n", "<end>", "aa"]))
def test_a_text_file_gives_back_what_it_takes_and_refuses_the_rest(found: list[str], separator: str) -> None:
    with TemporaryDirectory() as folder:
        base = Path(folder)
        records = [Record("", {"text": text}) for text in [*found, "always"]]
        asked = wish("text", skip_unfit=True, separator=separator)
        told = deliver(lambda: records, base / "out.txt", asked, lambda written: "")
        convert(base / "out.txt", base / "back.jsonl", wish("jsonl", separator=separator))
        back = [row["text"] for row in rows_of(base / "back.jsonl")]
    assert len(back) == told.records
    kept = iter([*found, "always"])
    assert all(text in kept for text in back)  # the same ones in the same order
    if separator == "\n":
        unfit = [text for text in found if not text.strip() or set(text) & {"\n", "\r"} or text[0] == "\ufeff"]
        assert len(found) - len(unfit) == told.records - 1


TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
ROWS = {
    "alpaca": {"instruction": "Hi", "input": "", "output": "Hello"},
    "sharegpt": {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
    "openai": {"messages": TALK},
    "chatml": {"text": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"},
    "prompt-completion": {"prompt": "Hi", "completion": "Hello"},
    "prompt-completion-conversational": {"prompt": TALK[:1], "completion": TALK[1:]},
}


@pytest.mark.parametrize("to", ROWS)
@pytest.mark.parametrize("from_", ROWS)
def test_one_question_and_its_answer_goes_from_every_format_to_every_other(tmp_path: Path, from_: str, to: str) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(ROWS[from_]))
    assert convert(tmp_path / "in.jsonl", tmp_path / "out.jsonl", wish(to)).records == 1
    assert list(rows_of(tmp_path / "out.jsonl")) == [ROWS[to]]


PAIR = {"prompt": "Hi", "chosen": "Hello", "rejected": "Go", "margin": 2}
ASKED = [{"role": "user", "content": "Hi"}]
GOOD = [{"role": "assistant", "content": "Hello"}]
BAD = [{"role": "assistant", "content": "Go"}]


@pytest.mark.parametrize(
    ("row", "to", "rows"),
    [
        (PAIR, "preference-conversational", [{"prompt": ASKED, "chosen": GOOD, "rejected": BAD, "margin": 2}]),
        (PAIR, "unpaired-preference", [
            {"prompt": "Hi", "completion": "Hello", "label": True}, {"prompt": "Hi", "completion": "Go", "label": False}
        ]),
        (PAIR, "unpaired-preference-conversational", [
            {"prompt": ASKED, "completion": GOOD, "label": True}, {"prompt": ASKED, "completion": BAD, "label": False}
        ]),
        ({"chosen": ASKED + GOOD, "rejected": ASKED + BAD}, "preference-conversational",
         [{"prompt": ASKED, "chosen": GOOD, "rejected": BAD}]),
        ({"instruction": "Hi", "input": "You", "chosen": "A", "rejected": "B"}, "preference",
         [{"prompt": "Hi\n\nYou", "chosen": "A", "rejected": "B"}]),
    ],
)  # fmt: skip
def test_preferences_go_into_each_type_of_them(
    tmp_path: Path, row: dict[str, Any], to: str, rows: list[dict[str, Any]]
) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(row))
    convert(tmp_path / "in.jsonl", tmp_path / "out.jsonl", wish(to), "jsonl")
    assert list(rows_of(tmp_path / "out.jsonl")) == rows


@pytest.mark.parametrize(
    ("row", "from_", "to", "error"),
    [
        ({"instruction": 1, "output": "b"}, "alpaca", "jsonl", "record 1: the column instruction holds no text"),
        ({"text": "plain"}, "chatml", "jsonl", "the column text is no row of turns"),
        ({"text": "<|im_start|>robot\nx<|im_end|>"}, "chatml", "jsonl", "Invalid enum value 'robot'"),
        ({"conversations": "x"}, "sharegpt", "openai", "the column conversations is no list"),
        ({"conversations": [{"from": "alien", "value": "x"}]}, "sharegpt", "openai", "turn 0 of the column conversat"),
        ({"prompt": "x"}, "prompt-completion", "jsonl", "the column completion is missing"),
        ({"prompt": "x", "completion": "y", "label": 1}, "unpaired-preference", "jsonl", "the column label is no true"),
        ({"prompt": "x", "completion": "y"}, "jsonl", "unpaired-preference", "the column label is missing; true or"),
        (PAIR | {"chosen": 5}, "jsonl", "preference", "the column chosen is no text; a text is needed"),
        (PAIR | {"chosen": GOOD}, "jsonl", "preference", "the column chosen holds turns.*choose the conversational"),
        (PAIR | {"chosen": ASKED}, "jsonl", "preference-conversational", "chosen does not end with a turn of the ass"),
        ({"chosen": GOOD, "rejected": BAD}, "jsonl", "preference-conversational", "it lacks a column of what was ask"),
        ({"chosen": ASKED + GOOD, "rejected": BAD}, "jsonl", "preference-conversational", "no turn in common"),
        (
            {"messages": [{"role": "system", "content": "s"}, *TALK]},
            "jsonl",
            "prompt-completion",
            "a system prompt has",
        ),
        ({"messages": [*TALK, *ASKED]}, "jsonl", "openai", "ends with a turn of the user"),
        ({"messages": [*TALK, *ASKED]}, "jsonl", "prompt-completion-conversational", "as the last turn, the assistant"),
        ({"body": "x"}, "jsonl", "text", "the column text is missing or null; a text is needed; its columns: body"),
    ],
)
def test_what_does_not_fit_is_told_with_its_column_and_nothing_is_written(
    tmp_path: Path, row: dict[str, Any], from_: str, to: str, error: str
) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(row))
    with pytest.raises(RecipeError, match=error):
        convert(tmp_path / "in.jsonl", tmp_path / "out.jsonl", wish(to), from_)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(
    ("row", "format_"),
    [
        *((row, name) for name, row in ROWS.items()),
        (PAIR, "preference"),
        ({"chosen": GOOD, "rejected": BAD}, "preference-conversational"),
        ({"prompt": "a", "completion": "b", "label": False}, "unpaired-preference"),
        ({"text": "t", "_meta": {"id": "1"}}, "text"),
        ({"text": "t", "label": "x"}, "jsonl"),
        ({"instruction": "a", "output": "b", "score": 1}, "jsonl"),
        ({}, "jsonl"),
    ],
)
def test_a_format_is_recognised_by_its_columns(tmp_path: Path, row: dict[str, Any], format_: str) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(row))
    assert format_of(tmp_path / "in.jsonl") == format_


def test_a_guess_that_fails_later_says_that_it_was_one(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"body": "b"}\n')
    with pytest.raises(RecipeError, match=r"record 2: .*\(the rows were taken for text by the first one; --from tells"):
        convert(tmp_path / "in.jsonl", tmp_path / "out.jsonl", wish("jsonl"))
    assert convert(tmp_path / "in.jsonl", tmp_path / "out.jsonl", wish("jsonl"), "jsonl").records == 2


def test_csv_of_pandas_is_read_with_its_own_words_for_true_and_false(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("prompt,completion,label\na,b,True\nc,d,False\n")
    convert(tmp_path / "in.csv", tmp_path / "out.jsonl", wish("unpaired-preference"))
    assert [row["label"] for row in rows_of(tmp_path / "out.jsonl")] == [True, False]


def test_an_empty_file_converts_to_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("")
    assert convert(tmp_path / "in.jsonl", tmp_path / "out.csv", wish("openai")).records == 0
    assert list(rows_of(tmp_path / "out.csv")) == []


def test_a_row_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"text": \n')
    with pytest.raises(RecipeError, match=r"in\.jsonl:2: no JSON"):
        convert(tmp_path / "in.jsonl", tmp_path / "out.jsonl", wish("text"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_unknown_format_to_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown format 'alpacca'; did you mean 'alpaca'"):
        convert(tmp_path / "in.jsonl", tmp_path / "out.jsonl", wish("text"), "alpacca")


def test_a_file_may_be_converted_in_its_own_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROWS["openai"]))
    convert(path, path, wish("sharegpt", overwrite=True))
    assert list(rows_of(path)) == [ROWS["sharegpt"]]


def test_a_folder_of_splits_becomes_records_again(tmp_path: Path) -> None:
    rows = [{"messages": TALK, "n": n} for n in range(40)]
    directory = directory_with(tmp_path / "run", rows)
    written(directory, tmp_path / "data", "openai", shares=shares_of("train=0.5,validation=0.25,test=0.25"), meta=True)
    assert convert(tmp_path / "data", tmp_path / "back.jsonl", wish("jsonl", meta=True)).records == 40
    back = sorted((decode(line) for _, line in lines_of(tmp_path / "back.jsonl")), key=lambda record: int(record.id))
    assert back == [Record(str(n), {"messages": TALK}, Meta(ticket=n)) for n in range(40)]
