"""`streamgen measure` over files of any making."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import streamgen
from streamgen.cli import main
from streamgen.measuring import DEFAULT, Wish, measure
from streamgen.record import Value

ROWS = [{"id": n, "question": f"Is {n} odd?", "text": f"The number {n} is {'even' if n % 2 == 0 else 'odd'}.",
         "label": "even" if n % 2 == 0 else "odd"} for n in range(300)]  # fmt: skip


def written(path: Path, rows: Sequence[Value] = ROWS) -> Path:
    body = "\n".join(map(json.dumps, rows)).encode()
    path.write_bytes(gzip.compress(body) if path.suffix == ".gz" else body)
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["measure", *map(str, arguments)])


def told(*arguments: object) -> dict[str, Value]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Value] = json.loads(result.stdout)
    return found


def test_the_default_metrics_are_those_of_texts_and_of_labels(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    found = told(path)[str(path)]
    assert (found["records"], found["column"], found["label"]) == (300, "text", "label")
    assert list(found["metrics"]) == [*DEFAULT, "class_balance"]
    assert found["metrics"]["class_balance"]["counts"] == {"even": 150, "odd": 150}


def test_any_file_of_the_same_rows_measures_the_same(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    expected = told(path)[str(path)]["metrics"]
    others = [written(tmp_path / "a.jsonl.gz"), tmp_path / "a.csv", tmp_path / "folder", tmp_path / "a.parquet"]
    lines = [",".join(map(str, row.values())) for row in ROWS]
    others[1].write_text("id,question,text,label\n" + "\n".join(lines))
    (others[2] / "data").mkdir(parents=True)
    written(others[2] / "data" / "train-00000.jsonl", ROWS[:100])
    written(others[2] / "data" / "train-00001.jsonl", ROWS[100:])
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pytest.importorskip("pyarrow").Table.from_pylist(ROWS), others[3])
    for other in others:
        found = told(other)[str(other)]["metrics"]
        assert found.pop("diversity") == pytest.approx(expected["diversity"], abs=1e-9)
        assert found == {name: result for name, result in expected.items() if name != "diversity"}


def test_a_run_is_measured_with_its_provenance(tmp_path: Path) -> None:
    recipe = {
        "source": {"type": "list", "rows": ROWS[:40]},
        "stages": [{"name": "new", "type": "novelty", "column": "text", "threshold": 1.0, "scored": True}],
        "sinks": [{"type": "jsonl", "path": "out.jsonl"}],
    }
    streamgen.run(streamgen.Recipe.parse(recipe), directory=tmp_path / "run")
    of_run, of_file = (measure(tmp_path / name, Wish()) for name in ("run", "run/out.jsonl"))
    assert of_run.records == of_file.records == 40
    assert of_run.metrics["scores"]["new"]["count"] == 40
    assert of_run.metrics == of_file.metrics


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        ([{"instruction": "Do it", "output": "Done"}], "output"),
        ([{"id": 1, "n": 2, "verse": "long enough", "x": "y"}], "verse"),
        ([{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "You"}]}], "messages"),
        ([{"conversations": [{"from": "human", "value": "Hi there"}, {"from": "", "value": "you"}]}], "conversations"),
        ([{"text": None, "answer": "It is"}], "answer"),
    ],
)  # fmt: skip
def test_the_column_is_chosen_by_what_there_is(tmp_path: Path, rows: list[Value], column: str) -> None:
    found = measure(written(tmp_path / "a.jsonl", rows), Wish(metrics=["lengths"]))
    assert found.column == column
    assert found.metrics["lengths"]["words"]["max"] in (1, 2, 3)


def test_the_turns_of_a_conversation_are_one_text(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "one two"},
        {"role": "assistant", "content": [{"type": "text", "text": "three"}]},
    ]
    found = measure(
        written(tmp_path / "a.jsonl", [{"messages": turns}, {"messages": []}, {}]), Wish(metrics=["lengths"])
    )
    assert found.metrics["lengths"]["words"]["max"] == 3
    assert found.metrics["lengths"]["missing"] == 1


def test_several_columns_are_joined(tmp_path: Path) -> None:
    found = told(
        path := written(tmp_path / "a.jsonl"), "--column", "question", "--column", "text", "--metrics", "lengths"
    )
    assert found[str(path)]["column"] == "question + text"
    assert found[str(path)]["metrics"]["lengths"]["words"]["mean"] == 8


def test_metrics_of_other_files_get_them(tmp_path: Path) -> None:
    path, real = written(tmp_path / "a.jsonl"), written(tmp_path / "real.jsonl", ROWS[:20])
    names = "similarity,fluency,tstr, topics"
    found = told(path, "--reference", real, "--test", real, "--metrics", names)[str(path)]["metrics"]
    assert list(found) == ["similarity", "fluency", "tstr", "topics"]
    assert found["similarity"]["near"] > 0.05
    assert found["tstr"]["accuracy"] == 1.0
    assert set(told(path, "--reference", real)[str(path)]["metrics"]) >= {"similarity", "fluency"}


def test_files_stand_side_by_side(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a.jsonl"), written(tmp_path / "b.jsonl", [{"answer": "[bold]hi\x1b[31m"}])
    result = call(one, other)
    assert result.exit_code == 0
    lines = {line[:26].strip(): line[26:].split() for line in reversed(result.stdout.splitlines())}
    assert lines["records"] == ["300", "1"]
    assert lines["column"] == ["text", "answer"]
    assert lines["distinct"] == ["300", "1"]
    assert lines["counts.even"] == ["150", "-"]
    assert lines["words"] == ["5", "3"]
    assert lines["p5, p50, p95"] == ["5,", "5,", "5", "3,", "3,", "3"]
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        ('{"text": "a"}\n{"text": ', [], "a.jsonl:2: no JSON"),
        ('{"text": "a"}\n7\n', [], "a.jsonl:2: a row is a JSON object"),
        ("", [], "holds no rows"),
        ('{"n": 1}', [], "no column of .* holds texts; there are n: name a --column"),
        ('{"text": "a"}', ["--column", "txt"], "unknown column 'txt'; did you mean 'text'?"),
        ('{"text": "a"}', ["--label", "kind"], "unknown column 'kind'"),
        ('{"text": "a"}', ["--metrics", "lenghts"], "unknown metric 'lenghts'; did you mean 'lengths'?"),
        ('{"text": "a"}', ["--metrics", "similarity"], "the metric similarity needs --reference"),
        ('{"text": "a"}', ["--metrics", "tstr"], "the metric tstr needs --test"),
        ('{"text": "a"}', ["--metrics", "class_balance"], "the metric class_balance needs --label"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_gets_a_clear_error(tmp_path: Path, body: str, options: list[str], said: str) -> None:
    (tmp_path / "a.jsonl").write_text(body)
    result = call(tmp_path / "a.jsonl", *options)
    assert result.exit_code == 2
    assert re.search(said, result.stderr)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = call(tmp_path / "no.jsonl")
    assert (result.exit_code, "cannot read" in result.stderr) == (2, True)


def test_rows_of_anything_are_measured(tmp_path: Path) -> None:
    rows = [{"text": value, "label": value} for value in (None, "", 7, True, [], {}, ["a"], "x" * 5000, "東京", "one")]
    found = told(path := written(tmp_path / "a.jsonl", rows))[str(path)]
    assert found["records"] == 10
    assert "NaN" not in json.dumps(found)
