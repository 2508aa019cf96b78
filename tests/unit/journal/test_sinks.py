from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from streamgen.errors import RecipeError
from streamgen.files import lines_of, zstd_compress
from streamgen.journal import sinks as module
from streamgen.journal.pages import Stored
from streamgen.journal.sinks import JsonlSettings, JsonlSink, ListSettings, ListSink, inside
from streamgen.record import Meta, Record, encode

RECORDS = [Stored(n, encode(Record(str(n), {"text": "é" * n}, Meta(ticket=n)))) for n in range(1, 9)]
SUFFIXES = ["", ".gz", ".zst"]


def opened(directory: Path, position: int, suffix: str = "", meta: bool = True) -> JsonlSink:
    sink = JsonlSink(JsonlSettings(path=f"out.jsonl{suffix}", meta=meta))
    sink.open(directory, position)
    return sink


def append(sink: JsonlSink, records: list[Stored]) -> int:
    """The position behind these records."""
    sink.write(records)
    position = sink.sync(is_last=True)
    assert position is not None
    return position


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_was_cut_at_any_byte_of_its_last_write_ends_as_if_nothing_had_happened(
    tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"out.jsonl{suffix}"
    sink = opened(tmp_path, 0, suffix)
    known = append(sink, RECORDS[:4])
    append(sink, RECORDS[4:])
    sink.close()
    whole = file.read_bytes()
    for length in range(known, len(whole) + 1):
        file.write_bytes(whole[:length])
        again = opened(tmp_path, known, suffix)
        append(again, RECORDS[4:])
        again.close()
        assert file.read_bytes() == whole
    assert [line for _, line in lines_of(file)] == [record.body for record in RECORDS]


def test_one_that_was_removed_is_to_be_written_anew(tmp_path: Path) -> None:
    sink = JsonlSink(JsonlSettings())
    assert not sink.open(tmp_path, 1000)
    append(sink, RECORDS)
    sink.close()
    assert len((tmp_path / "records.jsonl").read_bytes().splitlines()) == 8


def test_one_that_somebody_made_shorter_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_bytes(b"edited\n")
    with pytest.raises(RecipeError, match="shorter than this run left it; remove it, and it is written anew"):
        opened(tmp_path, 1000)
    assert (tmp_path / "out.jsonl").read_bytes() == b"edited\n"


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstd_compress)])
def test_compressed_files_grow_by_large_members_and_the_rest_comes_at_the_end(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MEMBER_BYTES", 3 * len(RECORDS[0].body))
    sink = opened(tmp_path, 0, suffix)
    positions = []
    for record in RECORDS:
        sink.write([record])
        positions.append(sink.sync(is_last=False))
    assert [position is not None for position in positions] == [False, False, True] * 2 + [False, False]
    end = sink.sync(is_last=True)
    sink.close()
    assert end == (tmp_path / f"out.jsonl{suffix}").stat().st_size
    assert len(list(lines_of(tmp_path / f"out.jsonl{suffix}"))) == 8


def test_without_meta_only_the_columns_are_written(tmp_path: Path) -> None:
    sink = opened(tmp_path, 0, meta=False)
    append(sink, RECORDS[:2])
    sink.close()
    assert (tmp_path / "out.jsonl").read_text() == '{"text":"é"}\n{"text":"éé"}\n'


def test_nothing_written_makes_an_empty_file(tmp_path: Path) -> None:
    sink = opened(tmp_path, 0)
    assert sink.sync(is_last=True) == 0
    sink.close()
    sink.close()
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_a_list_starts_from_nothing_each_time(tmp_path: Path) -> None:
    into: list[Record] = []
    sink = ListSink(ListSettings(into=into))
    assert not sink.open(tmp_path, 5)
    sink.write(RECORDS[:2])
    assert [record.id for record in into] == ["1", "2"]


@pytest.mark.parametrize("path", ["run.db", "run.db-wal", "run.lock", "x/../run.db"])
def test_the_runs_own_files_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(RecipeError, match="a file of the run itself"):
        inside(tmp_path, path)


def test_paths_below_the_directory_are_taken(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/run.db") == (tmp_path / "a/run.db").resolve()
    for path in ("../x", "/etc/x", "a/../../x"):
        with pytest.raises(RecipeError, match="leads out of the run's directory"):
            inside(tmp_path, path)
