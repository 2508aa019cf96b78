"""Reads the rows of data files that streamgen or somebody else wrote: JSON, CSV, Parquet, Arrow, text, and folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from streamgen.errors import RecipeError, UnknownName
from streamgen.files import compression_of
from streamgen.record import Columns
from streamgen.rows_arrow import arrow_rows, parquet_rows
from streamgen.rows_json import json_rows
from streamgen.rows_text import comma_rows, tab_rows, text_rows

_READERS: Mapping[str, Callable[[Path], Iterator[Columns]]] = {
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".json": json_rows,
    ".csv": comma_rows,
    ".tsv": tab_rows,
    ".txt": text_rows,
    ".parquet": parquet_rows,
    ".arrow": arrow_rows,
}
_UNCOMPRESSED = {".parquet", ".arrow"}  # their columns are compressed inside

# The names of files and folders that `datasets` takes for a split's: the word alone, between anything but letters.
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF = {
    split: re.compile(rf"(?:^|[-._ 0-9/])(?:{'|'.join(words)})(?:[-._ 0-9/]|$)") for split, words in _SPLITS.items()
}
_OTHER = frozenset({"dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json"})


class DataFile(NamedTuple):
    """A file of rows, and the split that it belongs to ("" where it is not one of a folder)."""

    path: Path
    split: str


def rows_of(path: Path, split: str | None = None) -> Iterator[Columns]:
    """The rows of a file or of a folder of files, in order, read in batches: memory does not grow with the file.

    `.jsonl`, `.ndjson`, `.json` (lines, or one array), `.csv`, `.tsv`, `.txt` (a line is a row with `text`), each also
    `.gz` or `.zst`; `.parquet` and `.arrow`; a folder as Hugging Face `datasets` lays it out, of which `split` takes
    one split. A file of any other name is read as JSON. Null and missing cells of CSV are "", of the others None.

    Raises RecipeError where a file cannot be read, with its name and line; MissingExtra for Parquet without pyarrow.
    """
    for file in files_of(Path(path), split):
        yield from reader_of(file.path)(file.path)


def files_of(path: Path, split: str | None = None) -> Sequence[DataFile]:
    """The files of rows at a path: itself, or those in and below a folder, by split and name.

    Raises RecipeError where there is nothing, UnknownName where there is no such split.
    """
    if not path.is_dir():
        return [DataFile(path, "")]
    files = sorted(_data_files(path), key=lambda file: (_rank(file.split), file.split, file.path))
    if not files:
        raise RecipeError(f"{path} holds no file of rows; known endings: {', '.join(_READERS)}, each also .gz and .zst")
    if split is not None and split not in {file.split for file in files}:
        raise UnknownName("split", split, {file.split for file in files})
    return [file for file in files if split in (None, file.split)]


def kind_of(name: str) -> str:
    """The ending that says how rows are kept, without that of the compression; "" where it is not a known one.

    >>> kind_of("a.jsonl.gz"), kind_of("a.parquet"), kind_of("a.parquet.gz"), kind_of("a")
    ('.jsonl', '.parquet', '', '')
    """
    is_compressed = bool(compression_of(name))
    ending = Path(Path(name).stem if is_compressed else name).suffix.lower()
    return ending if ending in _READERS and not (is_compressed and ending in _UNCOMPRESSED) else ""


def reader_of(path: Path) -> Callable[[Path], Iterator[Columns]]:
    """What reads a file of this name."""
    return _READERS.get(kind_of(path.name), json_rows)


def _data_files(folder: Path) -> Iterator[DataFile]:
    for path in folder.rglob("*"):
        below = path.relative_to(folder)
        is_hidden = any(part.startswith((".", "_")) for part in below.parts)
        if kind_of(path.name) and path.name not in _OTHER and not is_hidden and path.is_file():
            yield DataFile(path, _split_of(below.as_posix()))


def _split_of(name: str) -> str:
    """The split that a file's path below its folder names.

    >>> [_split_of(name) for name in ("data/train-00000-of-00002.parquet", "dev.jsonl", "contest.csv")]
    ['train', 'validation', 'train']
    """
    return next((split for split, pattern in _SPLIT_OF.items() if pattern.search(name.lower())), "train")


def _rank(split: str) -> int:
    return list(_SPLITS).index(split)
