from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from streamgen.source import BadRow, JsonlSettings, ListSettings, checked, from_list, jsonl


def file(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    return str(path)


def test_rows_come_in_order_without_the_provenance_of_an_earlier_run(tmp_path: Path) -> None:
    path = file(tmp_path, b'{"a": 1, "_meta": {"id": "3"}}\n\n  {"a": [2]}  \n')
    assert list(jsonl(JsonlSettings(path=path))) == [{"a": 1}, {"a": [2]}]


def test_a_file_repeats_for_ever_unless_it_is_empty(tmp_path: Path) -> None:
    path = file(tmp_path, b'{"a": 1}\nno\n')
    rows = list(islice(jsonl(JsonlSettings(path=path, repeat=True)), 5))
    assert [row if isinstance(row, dict) else row.where for row in rows] == [{"a": 1}, "rows.jsonl:2"] * 2 + [{"a": 1}]
    assert list(jsonl(JsonlSettings(path=file(tmp_path, b"\n"), repeat=True))) == []


def test_a_file_of_nothing_but_bad_rows_ends_though_it_may_repeat(tmp_path: Path) -> None:
    path = file(tmp_path, b"no\nnor this\n")
    rows = jsonl(JsonlSettings(path=path, repeat=True))
    assert [isinstance(row, BadRow) for row in islice(rows, 5)] == [True, True]


def test_a_list_repeats_for_ever_unless_it_is_empty() -> None:
    assert list(from_list(ListSettings(rows=[{"a": 1}]))) == [{"a": 1}]
    assert list(islice(from_list(ListSettings(rows=[{"a": 1}, {"a": 2}], repeat=True)), 3))[2] == {"a": 1}
    assert list(from_list(ListSettings(rows=[], repeat=True))) == []


def test_a_bad_line_shows_how_it_begins(tmp_path: Path) -> None:
    (row,) = jsonl(JsonlSettings(path=file(tmp_path, b"x\xff" * 1000)))
    assert isinstance(row, BadRow)
    assert row.text == "x\ufffd" * 100


def test_rows_from_python_are_mappings_or_bad() -> None:
    def rows() -> Iterator[object]:
        yield MappingProxyType({"a": 1})
        yield ["a"]

    good, bad = checked(rows())
    assert (good, type(good)) == ({"a": 1}, dict)
    assert bad == BadRow("row 2", "a mapping of columns is needed, this is list", "['a']")
