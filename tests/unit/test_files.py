from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from streamgen.errors import RecipeError
from streamgen.files import lines_of, open_bytes, replacing, zstd_compress

TEXT = b"\xef\xbb\xbffirst\r\n\n \t\n\xef\xbb\xbffourth"
LINES = [(1, b"first"), (4, b"\xef\xbb\xbffourth")]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl.gz", "a.jsonl.zst", "A.GZ"])
def test_lines_have_numbers_and_no_mark_ends_or_blanks(tmp_path: Path, name: str) -> None:
    compress = {".gz": gzip.compress, ".zst": zstd_compress}.get(Path(name).suffix.lower(), bytes)
    (tmp_path / name).write_bytes(compress(TEXT))
    assert list(lines_of(tmp_path / name)) == LINES


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstd_compress)])
def test_a_compressed_file_may_have_many_members(tmp_path: Path, suffix: str, compress: type[bytes]) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(compress(b"one\n") + compress(b"two\n"))
    assert list(lines_of(path)) == [(1, b"one"), (2, b"two")]


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstd_compress)])
def test_a_damaged_file_is_told_wherever_it_is_cut(tmp_path: Path, suffix: str, compress: type[bytes]) -> None:
    path = tmp_path / f"a{suffix}"
    whole = compress(b"".join(b"line %d of many\n" % (n * 7919) for n in range(50)))
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(RecipeError, match=r"is damaged behind line \d+: .*; make it anew"):
            list(lines_of(path))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is a directory; a file is needed"):
        open_bytes(tmp_path)
    with pytest.raises(RecipeError, match=r"cannot read .*none: No such file"):
        list(lines_of(tmp_path / "none"))


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "rows.jsonl", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as partial:
        partial.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"
    assert list((tmp_path / "elsewhere").iterdir()) == [target]


def test_what_is_no_plain_file_is_not_replaced(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, tmp_path):
        with pytest.raises(RecipeError, match="is no plain file; name one to write"), replacing(path):
            pass
    assert pipe.is_fifo() and link.is_symlink()
