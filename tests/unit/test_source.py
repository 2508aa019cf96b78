from __future__ import annotations

import gzip
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import pytest

from streamgen import source as module
from streamgen.files import zstd_compress
from streamgen.source import BadRow, JsonlRows, JsonlSettings, ListSettings, Row, Rows, from_list


def file(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    return str(path)


def test_rows_come_in_order_without_the_provenance_of_an_earlier_run(tmp_path: Path) -> None:
    path = file(tmp_path, b'{"a": 1, "_meta": {"id": "3"}}\n\n  {"a": [2]}  \n')
    assert list(JsonlRows(JsonlSettings(path=path))) == [{"a": 1}, {"a": [2]}]


def test_a_file_repeats_for_ever_unless_it_is_empty(tmp_path: Path) -> None:
    path = file(tmp_path, b'{"a": 1}\nno\n')
    rows = list(islice(JsonlRows(JsonlSettings(path=path, repeat=True)), 5))
    assert [row if isinstance(row, dict) else row.where for row in rows] == [{"a": 1}, "rows.jsonl:2"] * 2 + [{"a": 1}]
    assert list(JsonlRows(JsonlSettings(path=file(tmp_path, b"\n"), repeat=True))) == []


def test_a_file_of_nothing_but_bad_rows_ends_though_it_may_repeat(tmp_path: Path) -> None:
    path = file(tmp_path, b"no\nnor this\n")
    rows = JsonlRows(JsonlSettings(path=path, repeat=True))
    assert [isinstance(row, BadRow) for row in islice(rows, 5)] == [True, True]


def test_a_list_repeats_for_ever_unless_it_is_empty() -> None:
    assert list(from_list(ListSettings(rows=[{"a": 1}]))) == [{"a": 1}]
    assert list(islice(from_list(ListSettings(rows=[{"a": 1}, {"a": 2}], repeat=True)), 3))[2] == {"a": 1}
    assert list(from_list(ListSettings(rows=[], repeat=True))) == []


def test_a_bad_line_shows_how_it_begins(tmp_path: Path) -> None:
    (row,) = JsonlRows(JsonlSettings(path=file(tmp_path, b"x\xff" * 1000)))
    assert isinstance(row, BadRow)
    assert row.text == "x\ufffd" * 100


def test_rows_from_python_are_mappings_or_bad() -> None:
    def rows() -> Iterator[object]:
        yield MappingProxyType({"a": 1})
        yield ["a"]

    good, bad = Rows(rows())
    assert (good, type(good)) == ({"a": 1}, dict)
    assert bad == BadRow("row 2", "a mapping of columns is needed, this is list", "['a']")


LINES = b'\xef\xbb\xbf{"a": 0}\n\n{"a": 1}\nno\n  \n{"a": 3}\r\n{"a": 4}\n\n{"a": 5}'


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd_compress}


def numbers(rows: Iterator[Row]) -> list[int | str]:
    return [row["a"] if isinstance(row, dict) else row.where for row in rows]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("taken", range(9))
def test_a_place_leads_to_the_same_rows_as_reading_all_of_them(
    tmp_path: Path, suffix: str, repeat: bool, taken: int
) -> None:
    path = tmp_path / f"rows.jsonl{suffix}"
    path.write_bytes(COMPRESSED[suffix](LINES))
    settings = JsonlSettings(path=str(path), repeat=repeat)
    first, second, third = Rows(JsonlRows(settings)), Rows(JsonlRows(settings)), Rows(JsonlRows(settings))
    deque(islice(first, taken), 0)
    place = first.place()
    rest = numbers(islice(first, 12))
    second.begin(taken, place)
    third.begin(taken, None)
    assert numbers(islice(second, 12)) == numbers(islice(third, 12)) == rest
    assert len(rest) == (12 if repeat else max(0, 6 - taken))


def test_in_a_file_that_was_changed_rows_are_counted_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(LINES)
    rows = Rows(JsonlRows(JsonlSettings(path=str(path))))
    deque(islice(rows, 3), 0)
    place = rows.place()
    path.write_bytes(LINES.replace(b"no", b'{"a": "no more"}'))
    again = Rows(JsonlRows(JsonlSettings(path=str(path))))
    again.begin(3, place)
    assert numbers(again) == [3, 4, 5]


def test_a_place_may_lie_behind_the_end_of_a_file_that_became_shorter(tmp_path: Path) -> None:
    path = file(tmp_path, LINES)
    rows = Rows(JsonlRows(JsonlSettings(path=path)))
    deque(islice(rows, 4), 0)
    place = rows.place()
    file(tmp_path, b'{"a": 0}\n')
    again = Rows(JsonlRows(JsonlSettings(path=path)))
    again.begin(4, place)
    assert list(again) == []


def test_rows_that_are_passed_over_are_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    monkeypatch.setattr(module, "_decode", lambda line: {"a": parsed.append(line)})  # type: ignore[func-returns-value]
    path = file(tmp_path, b'{"a": 0}\n' * 5000)
    rows = Rows(JsonlRows(JsonlSettings(path=path)))
    rows.begin(4999, None)
    assert len(parsed) == 1000  # enough to see that it is a file of rows
    assert (len(list(rows)), rows.taken) == (1, 5000)


def test_other_sources_pass_over_rows_when_the_first_is_needed() -> None:
    rows = Rows({"a": n} for n in range(5))
    rows.begin(3, None)
    assert (rows.taken, rows.place()) == (0, None)
    rows.skip_to(3)
    assert numbers(rows) == [3, 4]
