"""How rows are kept in a file: a writer by the file's ending. What needs all rows' columns looks at them first."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

from streamgen.errors import RecipeError
from streamgen.export.turns import Row, Unfit, as_text
from streamgen.files import compression_of, zstd_compress
from streamgen.record import Value
from streamgen.rows import kind_of

WriteRows: TypeAlias = Callable[[Sequence[Row]], None]

_encode_line = msgspec.json.Encoder().encode


class Container(Protocol):
    """A way of keeping rows. Where `looks_first`, `look` is shown every row before the first file is opened."""

    looks_first: bool

    def check(self, row: Row) -> None:
        """Raise Unfit where such a row cannot be kept."""
        ...

    def look(self, rows: Sequence[Row]) -> None:
        """Take note of the rows' columns."""
        ...

    def open(self, path: Path, name: str) -> AbstractContextManager[WriteRows]:
        """What writes rows to `path`, a file that will be called `name`."""
        ...


class Lines:
    """A JSON object a line; compressed files are a row of complete members, which every reader takes as one file."""

    looks_first = False

    def check(self, row: Row) -> None:
        """Every row can be kept."""

    def look(self, rows: Sequence[Row]) -> None:
        """Nothing is needed."""

    @contextmanager
    def open(self, path: Path, name: str) -> Iterator[WriteRows]:
        """Each call writes lines."""
        with _compressed(path, name) as write:
            yield lambda rows: write(b"".join(_encode_line(row) + b"\n" for row in rows))


class Separated:
    """CSV: texts as they are, null as nothing, anything else as JSON. The first line names the columns of all rows."""

    looks_first = True

    def __init__(self) -> None:
        self._names: dict[str, None] = {}  # in the order of their first row

    def check(self, row: Row) -> None:
        """Every row can be kept."""

    def look(self, rows: Sequence[Row]) -> None:
        """Take note of the columns' names."""
        for row in rows:
            self._names.update(dict.fromkeys(row))

    @contextmanager
    def open(self, path: Path, name: str) -> Iterator[WriteRows]:
        """Each call writes lines."""
        names, delimiter = list(self._names), "\t" if kind_of(name) == ".tsv" else ","
        with _compressed(path, name) as write:
            write(_cells([names], delimiter) if names else b"")
            yield lambda rows: write(_cells([[as_text(row.get(n)) for n in names] for row in rows], delimiter))


class Texts:
    """Plain text: the column `text` of each row, with a separator behind it, which no text may hold."""

    looks_first = False

    def __init__(self, separator: str = "\n") -> None:
        self._separator = separator

    def check(self, row: Row) -> None:
        """Only `text`, which is not blank and holds no separator. Raises Unfit."""
        if more := sorted(row.keys() - {"text"}):
            raise Unfit(f"a text file holds the column text only, not {', '.join(more)}; choose a .jsonl file")
        if not row["text"].strip():
            raise Unfit("the column text is blank, which a text file cannot hold")
        if not self._comes_back(row["text"]):
            raise Unfit(
                f"the column text holds {self._separator!r} or another end of a line, which separates the texts of "
                "the file; give another --separator, or choose a .jsonl file"
            )

    def _comes_back(self, text: str) -> bool:
        """Whether reading the file finds the text's end where it is, whoever reads it."""
        ends = "\r" if self._separator == "\n" else "\n"
        is_cut = ends in text if ends == "\r" else text.endswith(ends)
        return (text + self._separator).find(self._separator) == len(text) and not is_cut and text[0] != "\ufeff"

    def look(self, rows: Sequence[Row]) -> None:
        """Nothing is needed."""

    @contextmanager
    def open(self, path: Path, name: str) -> Iterator[WriteRows]:
        """Each call writes texts."""
        with _compressed(path, name) as write:
            yield lambda rows: write("".join(f"{row['text']}{self._separator}" for row in rows).encode())


def container_of(name: str, separator: str = "\n") -> Container:
    """The container for a file of this name; JSON lines for one without a known ending.

    Raises MissingExtra for Parquet without pyarrow, RecipeError for what can be read only.
    """
    match kind_of(name):
        case ".parquet":
            from streamgen.export.parquet import Parquet

            return Parquet()
        case ".csv" | ".tsv":
            return Separated()
        case ".txt":
            return Texts(separator)
        case ".arrow" | ".json" as ending:
            raise RecipeError(f"{name}: {ending} is read only; allowed are .jsonl, .csv, .tsv, .txt and .parquet")
        case "" if name.lower().endswith((".parquet.gz", ".parquet.zst")):
            raise RecipeError(f"{name}: a Parquet file is compressed inside; call it .parquet")
    return Lines()


def size_of(value: Value) -> int:
    """About how many bytes of memory a value takes."""
    if isinstance(value, str):
        return 64 + len(value)
    if isinstance(value, dict):
        return 64 + sum(len(key) + size_of(inner) for key, inner in value.items())
    return 64 + sum(map(size_of, value)) if isinstance(value, list | tuple) else 32


def _cells(rows: Sequence[Sequence[str]], delimiter: str) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


@contextmanager
def _compressed(path: Path, name: str) -> Iterator[Callable[[bytes], None]]:
    """What appends to the file, each time a complete member, and one of nothing where nothing was written."""
    compress = _COMPRESSORS[compression_of(name)]
    with path.open("wb") as file:

        def write(data: bytes) -> None:
            if data:
                file.write(compress(data))

        yield write
        if not file.tell():
            file.write(compress(b""))


def _gzip(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)


_COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": _gzip, "zstd": zstd_compress}
