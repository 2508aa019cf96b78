"""Exports: each format's rows, compressed and columnar files, records that do not fit, files that are not replaced."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from exports import directory_with, exported, written
from sample_run import run_sample

from streamgen.errors import MissingExtra, RecipeError, UnknownName
from streamgen.export import from_run
from streamgen.export.deliver import Written
from streamgen.export.formats import FORMATS
from streamgen.export.turns import Chosen, Unfit
from streamgen.journal.store import FILE_NAME, Store
from streamgen.record import Record, encode


def row_of(format_: str, columns: Mapping[str, Any], **chosen: str) -> dict[str, Any]:
    (row,) = FORMATS[format_].write(Record("7", dict(columns)), Chosen(**chosen))
    return row


TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
]
TASK = {"instruction": "Sort.", "input": "b a", "output": "a b", "label": "x"}


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"])
def test_jsonl_keeps_every_column_in_the_order_of_acceptance_plain_or_compressed(tmp_path: Path, name: str) -> None:
    rows = [{"text": f"text {n}", "n": n} for n in range(20_000)]
    assert exported(directory_with(tmp_path / "run", rows), "jsonl", name) == rows


def test_provenance_is_kept_when_it_is_asked_for(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [TASK])
    assert exported(directory, "alpaca", "plain.jsonl") == [{k: TASK[k] for k in ("instruction", "input", "output")}]
    assert exported(directory, "alpaca", "meta.jsonl", meta=True)[0]["_meta"] == {"id": "0", "ticket": 0}


def test_a_task_with_input_becomes_one_turn_in_chat_formats() -> None:
    turns = [("user", "Sort.\n\nb a"), ("assistant", "a b")]
    assert row_of("openai", TASK) == {"messages": [{"role": role, "content": text} for role, text in turns]}
    assert row_of("sharegpt", TASK) == {
        "conversations": [{"from": "human", "value": turns[0][1]}, {"from": "gpt", "value": turns[1][1]}]
    }
    assert row_of("chatml", TASK) == {
        "text": "<|im_start|>user\nSort.\n\nb a<|im_end|>\n<|im_start|>assistant\na b<|im_end|>\n"
    }


def test_a_conversation_goes_before_other_columns() -> None:
    columns = {**TASK, "messages": TALK}
    assert row_of("openai", columns) == {"messages": TALK}
    assert [turn["from"] for turn in row_of("sharegpt", columns)["conversations"]] == ["system", "human", "gpt"]
    assert row_of("alpaca", columns) == {"instruction": "Hi", "input": "", "output": "Hello", "system": "Be brief."}


@pytest.mark.parametrize(
    ("prompt", "response"),
    [("instruction", "output"), ("prompt", "response"), ("prompt", "answer"), ("question", "answer")],
)
def test_the_usual_pairs_of_columns_are_found(prompt: str, response: str) -> None:
    assert row_of("alpaca", {prompt: "Q", response: "A"}) == {"instruction": "Q", "input": "", "output": "A"}


def test_named_columns_go_before_everything_else_and_one_alone_finds_its_partner() -> None:
    columns = {**TASK, "messages": TALK, "topic": "T", "essay": {"title": "E"}}
    both = row_of("alpaca", columns, prompt="topic", response="essay")
    assert both == {"instruction": "T", "input": "", "output": '{"title":"E"}'}
    assert row_of("alpaca", columns, response="label") == {"instruction": "Sort.", "input": "b a", "output": "x"}


@pytest.mark.parametrize(
    ("format_", "columns", "why"),
    [
        ("alpaca", {"text": "t"}, "it lacks messages and every pair of instruction/output, "),
        ("alpaca", {"prompt": "Q", "answer": None}, "it lacks messages"),
        ("alpaca", {"messages": [*TALK, *TALK[1:]]}, "system, user, assistant, user, assistant: choose sharegpt"),
        (
            "openai",
            {"messages": [{"role": "robot", "content": ""}]},
            r"the column messages is no conv.* - at `\$\[0\]\.role`",
        ),
        ("openai", {"messages": TALK[:2]}, "no turn of the assistant"),
        (
            "chatml",
            {"prompt": "Q", "answer": "<|im_end|>\n<|im_start|>system"},
            r"a turn of the assistant holds <\|im_start\|>",
        ),
    ],
)
def test_what_does_not_fit_says_why(format_: str, columns: Mapping[str, Any], why: str) -> None:
    with pytest.raises(Unfit, match=why):
        row_of(format_, columns)


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_records_that_do_not_fit_are_an_error_or_left_out_and_counted(tmp_path: Path, name: str) -> None:
    directory = directory_with(
        tmp_path / "run", [{"text": "a", "answer": None}, {"prompt": "Q", "answer": "A"}, {"text": "b"}]
    )
    with pytest.raises(
        RecipeError, match=r"record 0: it lacks messages .*columns: text, answer \(null\)\. Choose .* --skip-unfit"
    ):
        written(directory, tmp_path / name, "openai")
    assert not (tmp_path / name).exists()
    left = written(directory, tmp_path / name, "openai", skip_unfit=True)
    assert left.records == 1 and left.left_out is not None and left.left_out.records == 2
    assert left.left_out.first.startswith("record 0: it lacks messages")


def test_when_no_record_fits_the_error_names_one_with_its_columns_and_no_file_appears(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [{"topic": "a", "essay": "b"}] * 3)
    pattern = (
        "none of the 3 records fits the format alpaca. record 0: it lacks .*columns: topic, essay.*--prompt-column"
    )
    with pytest.raises(RecipeError, match=pattern):
        written(directory, tmp_path / "out.jsonl", "alpaca", skip_unfit=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_an_unknown_format_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown format 'sharegtp'; did you mean 'sharegpt'"):
        written(tmp_path, tmp_path / "out.jsonl", "sharegtp")


def test_a_directory_without_a_run_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"holds no run: there is no run.db in it; name the directory"):
        written(tmp_path, tmp_path / "out.jsonl", "jsonl")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_replaced_only_when_asked_for_and_as_a_whole(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [{"text": "new"}])
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    with pytest.raises(RecipeError, match=r"out.jsonl exists; .*--overwrite"):
        written(directory, out, "jsonl")
    with pytest.raises(RecipeError, match="none of the 1 records fits"):
        written(directory, out, "openai", overwrite=True, skip_unfit=True)
    assert out.read_text() == "old"
    assert written(directory, out, overwrite=True).records == 1
    assert out.read_text() == '{"text":"new"}\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "run"]


def test_the_files_of_the_run_itself_are_never_replaced(tmp_path: Path) -> None:
    run_sample(tmp_path / "run")
    for own in ("run.db", "run.db-wal", "run.lock", "answers.jsonl"):
        with pytest.raises(RecipeError, match=f"{own} belongs to the run itself"):
            written(tmp_path / "run", tmp_path / "run" / own, "jsonl", overwrite=True)


@pytest.mark.parametrize("out", ["", "file/out.jsonl"])
def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path, out: str) -> None:
    directory = directory_with(tmp_path / "run", [{"text": "a"}])
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match=r"is not empty; choose another name|cannot write"):
        written(directory, tmp_path / out, "jsonl")


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_a_run_without_records_gives_an_empty_file(tmp_path: Path, name: str) -> None:
    directory = directory_with(tmp_path / "run", [])
    assert written(directory, tmp_path / name).records == 0
    assert (tmp_path / name).exists()


def test_records_that_are_accepted_meanwhile_wait_for_the_next_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = directory_with(tmp_path / "run", [{"n": 1}, {"n": 2}])
    writer = Store(directory / FILE_NAME)
    deliver = from_run.deliver

    def meanwhile(*given: Any) -> Written:
        writer.commit({"records": [(3, 2, "2", encode(Record("2", {"n": 3})))]})
        return deliver(*given)

    monkeypatch.setattr(from_run, "deliver", meanwhile)
    assert exported(directory, "jsonl", "first.jsonl") == [{"n": 1}, {"n": 2}]
    monkeypatch.undo()
    assert exported(directory, "jsonl", "second.jsonl") == [{"n": 1}, {"n": 2}, {"n": 3}]
    writer.close()


def parquet_rows(directory: Path, format_: str = "parquet", **options: Any) -> Any:
    import pyarrow.parquet as pq

    written(directory, directory / "out.parquet", format_, **options)
    return pq.read_table(directory / "out.parquet")


def test_parquet_keeps_columns_with_their_types_and_fills_gaps_with_null(tmp_path: Path) -> None:
    rows = [{"text": "a", "n": 1, "tags": []}, {"text": "b", "n": 2.5, "tags": ["x"]}, {"late": True, "none": None}]
    table = parquet_rows(directory_with(tmp_path / "run", rows))
    assert {field.name: str(field.type) for field in table.schema} == {
        "text": "string", "n": "double", "tags": "list<element: string>", "late": "bool", "none": "string",
    }  # fmt: skip
    empty = dict.fromkeys(("text", "n", "tags", "late", "none"))
    assert table.to_pylist() == [{**empty, **row} for row in rows]


def test_parquet_keeps_what_has_no_type_of_its_own_as_json_text(tmp_path: Path) -> None:
    rows = [{"mixed": 1, "object": {"a": 1}, "big": 10**30, "holes": [{}]}, {"mixed": "x", "object": {"b": []}}]
    table = parquet_rows(directory_with(tmp_path / "run", rows))
    assert table.column("mixed").to_pylist() == ["1", '"x"']
    assert table.column("object").to_pylist() == ['{"a":1}', '{"b":[]}']
    assert table.column("big").to_pylist() == [str(10**30), None]
    assert table.column("holes").to_pylist() == ["[{}]", None]


def test_types_that_first_meet_in_different_pages_are_reconciled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr("streamgen.export.write._PAGE_ROWS", 2)
    rows = [{"n": 1, "m": 1}, {"n": 2, "m": 2}, {"n": 0.5, "m": "x"}, {"n": 3, "m": None}, {"n": 4, "m": {}}]
    table = parquet_rows(directory_with(tmp_path / "run", rows))
    assert table.column("n").to_pylist() == [1.0, 2.0, 0.5, 3.0, 4.0]
    assert table.column("m").to_pylist() == ["1", "2", '"x"', None, "{}"]
    assert pq.ParquetFile(tmp_path / "run" / "out.parquet").num_row_groups == 3


def test_chat_formats_go_into_parquet_when_the_file_is_called_so(tmp_path: Path) -> None:
    table = parquet_rows(directory_with(tmp_path / "run", [{"messages": TALK}]), "openai", meta=True)
    assert table.to_pylist() == [{"messages": TALK, "_meta": '{"id":"0","ticket":0}'}]


def test_without_pyarrow_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    directory = directory_with(tmp_path / "run", [{"n": 1}])
    with pytest.raises(MissingExtra, match=r"parquet export needs an extra: pip install 'streamgen-llm\[parquet\]'"):
        written(directory, tmp_path / "out.parquet", "parquet")


def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        directory = directory_with(tmp_path / str(count), [{"text": "word " * 40, "n": n} for n in range(count)])
        tracemalloc.start()
        written(directory, tmp_path / f"{count}.jsonl", "jsonl")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(60_000) < 1.15 * peak(20_000)


def test_a_real_run_is_exported_from_its_directory(tmp_path: Path) -> None:
    run_sample(tmp_path / "run")
    rows = exported(tmp_path / "run", "openai")
    assert len(rows) == 32
    assert rows[1]["messages"] == [
        {"role": "user", "content": "question 2"},
        {"role": "assistant", "content": "an answer to 2"},
    ]


def test_the_page_shows_a_true_line_of_every_format() -> None:
    page = (Path(__file__).parents[2] / "docs/exports.md").read_text()
    shown = dict(re.findall(r"^\| `([\w-]+)` \| `(\{.*?\})`[ ,]", page, re.MULTILINE))
    columns = {"prompt": "Hi", "response": "Hello", "chosen": "Hello", "rejected": "Go", "margin": 2, "text": "Hello"}
    labelled = {"prompt": "Hi", "response": "Hello", "label": True}
    plain = {"prompt": "Hi", "response": "Hello", "label": "x"}
    assert shown.keys() | {"parquet", "csv"} == FORMATS.keys()
    for format_, line in shown.items():
        given = labelled if "unpaired" in format_ else plain if format_ == "jsonl" else columns
        (row,) = FORMATS[format_].write(Record("0", given), Chosen())
        assert row == json.loads(line.replace("\\|", "|")), format_
