"""Rows of files that somebody wrote: each way of keeping them, folders with splits, and files that are broken."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streamgen import rows_json
from streamgen.errors import MissingExtra, RecipeError, UnknownName
from streamgen.files import zstd_compress
from streamgen.rows import files_of, rows_of
from streamgen.rows_text import text_rows

ROWS: list[dict[str, Any]] = [{"text": 'a, "b"\nc', "n": 1}, {"text": "Grüße 東京", "n": None}, {"text": "", "n": 3}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
ARRAY = b"\xef\xbb\xbf \n" + json.dumps(ROWS, indent=2, ensure_ascii=False).encode()
CSV = 'text,n\r\n"a, ""b""\nc",1\r\n\nGrüße 東京,\n,3\n'.encode()
CSV_ROWS = [{"text": row["text"], "n": "" if row["n"] is None else str(row["n"])} for row in ROWS]
COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd_compress}


def written(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("packed", COMPRESS)
@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.jsonl", LINES, ROWS),
        ("a.ndjson", LINES, ROWS),
        ("a.json", LINES, ROWS),
        ("a.json", ARRAY, ROWS),
        ("a.json", b"[]", []),
        ("a.jsonl", b"", []),
        ("a", LINES, ROWS),
        ("a.csv", CSV, CSV_ROWS),
        ("a.csv", b"", []),
        ("a.tsv", CSV.replace(b",", b"\t").replace(b"a\t", b"a,"), CSV_ROWS),
        ("a.txt", "one\n\n two \r\nthree", [{"text": "one"}, {"text": " two "}, {"text": "three"}]),
    ],
)
def test_text_files_are_read_plain_and_compressed(
    tmp_path: Path, name: str, content: bytes | str, rows: list[dict[str, Any]], packed: str
) -> None:
    raw = content.encode() if isinstance(content, str) else content
    assert list(rows_of(written(tmp_path / (name + packed), COMPRESS[packed](raw)))) == rows


@pytest.mark.parametrize("packed", COMPRESS)
def test_texts_between_separators_of_ones_own(tmp_path: Path, packed: str) -> None:
    path = written(tmp_path / f"a.txt{packed}", COMPRESS[packed](b"one\n\nstill<end>two<end>\n<end>three\n"))
    assert [row["text"] for row in text_rows(path, "<end>")] == ["one\n\nstill", "two", "three"]


@pytest.mark.parametrize("piece", [4, 7, 1 << 20])
def test_an_array_is_read_the_same_in_pieces_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    whole = rows_json.pieces_of
    monkeypatch.setattr(rows_json, "pieces_of", lambda path, file: whole(path, file, piece))
    assert list(rows_of(written(tmp_path / "a.json", ARRAY))) == ROWS


def test_parquet_and_arrow_files_are_read(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    with pa.OSFile(str(tmp_path / "s.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    with pa.OSFile(str(tmp_path / "f.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as whole:
        whole.write_table(table)
    for name in ("a.parquet", "s.arrow", "f.arrow"):
        assert list(rows_of(tmp_path / name)) == ROWS


def test_a_folder_gives_its_splits_in_order_and_passes_over_what_holds_no_rows(tmp_path: Path) -> None:
    for name in ("data/test-00000-of-00001.jsonl", "data/train-2.jsonl", "data/train-1.jsonl", "dev.csv"):
        written(tmp_path / name, f"name\n{name}\n" if name.endswith("csv") else json.dumps({"name": name}))
    for name in ("README.md", ".git/train.jsonl", "dataset_info.json", "_notes.jsonl"):
        written(tmp_path / name, "no rows")
    train = [{"name": "data/train-1.jsonl"}, {"name": "data/train-2.jsonl"}]
    assert list(rows_of(tmp_path)) == [*train, {"name": "dev.csv"}, {"name": "data/test-00000-of-00001.jsonl"}]
    assert list(rows_of(tmp_path, "validation")) == [{"name": "dev.csv"}]
    assert [file.split for file in files_of(tmp_path)] == ["train", "train", "validation", "test"]
    with pytest.raises(UnknownName, match="unknown split 'tests'; did you mean 'test'"):
        list(rows_of(tmp_path, "tests"))


def test_a_folder_without_rows_says_what_it_looks_for(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"holds no file of rows; known endings: \.jsonl, "):
        list(rows_of(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.jsonl", '{"a": 1}\n\n{"a": \n', r"a\.jsonl:3: no JSON: Input data was truncated"),
        ("a.jsonl", '{"a": 1}\n7\n', r"a\.jsonl:2: a row is a JSON object, this is a number"),
        ("a.jsonl", b'{"a": "\xff"}\n', r"a\.jsonl:1: no JSON: "),
        ("a.json", '[{"a": 1},\n{"a": 2}\n,\n "x"]', r"a\.json:4: a row is a JSON object, this is a string"),
        ("a.json", '[{"a": 1},\n\n{"a": 2', r"a\.json:3: no JSON: "),
        ("a.json", '[\n{"a": NaN}]', r"a\.json:2: no JSON: NaN is no JSON number"),
        ("a.json", b'[{"a": "\xff"}]', r"a\.json is no UTF-8 text"),
        ("a.json", "[" + '{"a":' * 100_000, r"a\.json:1: no JSON: "),
        ("a.csv", "a,b\n1,2\n1,2,3\n", r"a\.csv:3: 3 cells where the first line names 2 columns"),
        ("a.csv", "a,a\n1,2\n", r"a\.csv:1: the column 'a' is named twice"),
        ("a.csv", 'a\n"never closed\n', r"a\.csv:2: unexpected end of data"),
        ("a.csv", b"a\n\xff\n", r"a\.csv.*can't decode byte 0xff"),
        ("a.txt", b"a\n\xff\n", r"a\.txt.*can't decode byte 0xff"),
        ("a.csv.gz", gzip.compress(b"a\n1\n", mtime=0)[:-9], r"a\.csv\.gz is damaged: "),
        ("a.json.gz", gzip.compress(b'[{"a": 1}]', mtime=0)[:-9], r"a\.json\.gz is damaged: "),
        ("a.jsonl.gz", b"no gzip", r"a\.jsonl\.gz is damaged"),
        ("a.parquet", "no parquet", r"cannot read .*a\.parquet as Parquet"),
        ("a.arrow", "no arrow at all", r"cannot read .*a\.arrow as Arrow"),
    ],
)
def test_a_broken_file_is_told_with_its_name_and_line(
    tmp_path: Path, name: str, content: bytes | str, error: str
) -> None:
    with pytest.raises(RecipeError, match=error):
        list(rows_of(written(tmp_path / name, content)))


@pytest.mark.parametrize("name", ["none.jsonl", "none.csv", "none.parquet", "none.json.gz"])
def test_a_file_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=r"cannot read .*none.*No such file"):
        list(rows_of(tmp_path / name))


def test_without_pyarrow_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"reading a\.parquet needs an extra: .*streamgen-llm\[parquet\]'"):
        list(rows_of(written(tmp_path / "a.parquet", "")))


def test_long_cells_and_rows_are_ordinary(tmp_path: Path) -> None:
    long = "word " * 1_000_000
    assert list(rows_of(written(tmp_path / "a.csv", f"text\n{long}\n"))) == [{"text": long}]
    assert list(rows_of(written(tmp_path / "a.json", json.dumps([{"text": long}])))) == [{"text": long}]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.parquet", "a.txt"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}{name}"
        row = {"text": "word " * 60}
        if name == "a.parquet":
            pq.write_table(pa.Table.from_pylist([row] * count), path, row_group_size=1000, use_dictionary=False)
        else:
            line = {"a.csv": row["text"], "a.txt": row["text"]}.get(name, json.dumps(row))
            body = f"[{','.join([line] * count)}]" if name == "a.json" else "text\n" + f"{line}\n" * count
            written(path, body.removeprefix("text\n") if name == "a.jsonl" else body)
        tracemalloc.start()
        for _ in rows_of(path):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(30_000) < 1.3 * peak(10_000) + 100_000
