"""Reading and writing text files, plain or compressed, by their names."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

from streamgen.errors import RecipeError


def compression_of(name: str) -> str:
    """ "gzip" for `.gz`, "zstd" for `.zst`, "" for anything else.

    >>> compression_of("a.jsonl.zst"), compression_of("a.jsonl")
    ('zstd', '')
    """
    return {".gz": "gzip", ".zst": "zstd"}.get(Path(name).suffix.lower(), "")


def open_bytes(path: Path) -> IO[bytes]:
    """The file's uncompressed bytes, to be read. Raises RecipeError where it cannot be opened."""
    try:
        path.stat()
        if path.is_dir():
            raise RecipeError(f"{path} is a directory; a file is needed")
        match compression_of(path.name):
            case "gzip":
                return cast(IO[bytes], gzip.open(path, "rb"))
            case "zstd":
                return cast(IO[bytes], _zstd().open(path, "rb"))
            case _:
                return path.open("rb")
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror or error}") from error


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and content of every line that is not blank. A UTF-8 byte order mark is passed over.

    Raises RecipeError where the file cannot be read on: a compressed one may be damaged, or end too early.
    """
    with open_bytes(path) as file:
        for number, line in enumerate(raw_lines(path, file), 1):
            if text := content_of(line, number):
                yield number, text


def raw_lines(path: Path, file: IO[bytes], number: int = 0) -> Iterator[bytes]:
    """The file's lines as they stand, with their ends, from where it is, behind line `number`. Raises RecipeError."""
    try:
        for line in file:
            number += 1
            yield line
    except damage_of(path) as error:
        raise RecipeError(f"{path} is damaged behind line {number}: {error}; make it anew") from error


def pieces_of(path: Path, file: IO[bytes], size: int = 1 << 20) -> Iterator[bytes]:
    """The file's bytes from where it is, a piece at a time. Raises RecipeError where it cannot be read on."""
    try:
        while piece := file.read(size):
            yield piece
    except damage_of(path) as error:
        raise RecipeError(f"{path} is damaged: {error}; make it anew") from error


def content_of(line: bytes, number: int) -> bytes:
    """What stands in a line; nothing in a blank one."""
    return (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path` when the block ends well, and vanishes otherwise.

    A link stays, what it leads to is replaced. Raises RecipeError where nothing can be written there.
    """
    if path.exists() and not path.is_file():  # a device or a pipe would become a plain file, for everybody
        raise RecipeError(f"{path} is no plain file; name one to write")
    target = path.resolve()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise RecipeError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def zstd_compress(data: bytes) -> bytes:
    """One complete zstd frame."""
    compressed: bytes = _zstd().compress(data)
    return compressed


def damage_of(path: Path) -> tuple[type[Exception], ...]:
    """What reading a broken file raises."""
    zstd = (_zstd().ZstdError,) if compression_of(path.name) == "zstd" else ()
    return (EOFError, OSError, zlib.error, *zstd)


def _zstd() -> Any:
    """The zstd module: in the standard library from Python 3.14 on."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
