"""The source `documents`: files of text, cut into chunks that overlap, a row each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from streamgen.document_text import Unreadable, check_readers, pieces_of
from streamgen.settings import FilePath, Settings
from streamgen.source import BadRow, Row

_LONGEST = 1000  # characters of a word: what is longer is no word, and is cut


class DocumentsSettings(Settings, frozen=True, kw_only=True):
    """A file, or a folder of which all files are read that `glob` matches: .txt, .md, .html, .pdf, .docx (the last two
    with the extra `documents`). Chunks have `words` words and share `overlap` with the next one; a last one of fewer
    than `least` words is left out, unless it is all there is. Columns: `document` (the path below the folder), `chunk`
    (its number, from 0) and `text`.
    """

    path: FilePath
    glob: str = "**/*"
    words: Annotated[int, Meta(ge=10, le=100_000)] = 250
    overlap: Annotated[int, Meta(ge=0)] = 30
    least: Annotated[int, Meta(ge=1)] = 20

    def check(self) -> None:
        """Raise ValueError for chunks that never end and a folder without files, MissingExtra without a reader."""
        if self.overlap >= self.words:
            raise ValueError(f"overlap: {self.overlap} is not below words = {self.words}")
        if not Path(self.path).exists():
            return  # where a recipe names it, that is told with its place
        if not any(True for _ in files_of(self)):
            raise ValueError(f"path: no file in {self.path} matches {self.glob}")
        check_readers(files_of(self))


def documents(settings: DocumentsSettings) -> Iterator[Row]:
    """The chunks, file by file in the order of their names; a file without text is a BadRow, and the rest goes on."""
    root = Path(settings.path)
    for path in files_of(settings):
        name = path.name if path == root else path.relative_to(root).as_posix()
        number = 0
        try:
            for number, text in enumerate(_chunks(path, settings), 1):
                yield {"document": name, "chunk": number - 1, "text": text}
        except (Unreadable, OSError) as error:
            yield BadRow(name, str(error), "")
            continue
        if not number:
            why = "it has no text: a scan has to be read by OCR first" if path.stat().st_size else "it is empty"
            yield BadRow(name, why, "")


def files_of(settings: DocumentsSettings) -> Iterator[Path]:
    """The file, or those of the folder, hidden ones left out, in order."""
    root = Path(settings.path)
    if root.is_file():
        yield root
        return
    for path in sorted(root.glob(settings.glob)):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden:
            yield path


def _chunks(path: Path, settings: DocumentsSettings) -> Iterator[str]:
    """Holds one chunk and one piece of the file at a time, however large that is."""
    held: list[str] = []
    fresh = 0  # of the held words, those that stand in no chunk yet
    is_first = True
    for word in _words(path):
        held.append(word)
        fresh += 1
        if len(held) == settings.words:
            yield " ".join(held)
            held = held[len(held) - settings.overlap :]
            fresh, is_first = 0, False
    if fresh and (is_first or fresh >= settings.least):
        yield " ".join(held)


def _words(path: Path) -> Iterator[str]:
    left = ""
    for piece in pieces_of(path):
        text = left + piece
        words = text.split()
        left = words.pop() if words and not text[-1].isspace() else ""
        while len(left) > _LONGEST:
            words, left = [*words, left[:_LONGEST]], left[_LONGEST:]
        for word in words:
            yield from _cut(word)
    yield from _cut(left)


def _cut(word: str) -> Iterator[str]:
    for start in range(0, len(word), _LONGEST):
        yield word[start : start + _LONGEST]
