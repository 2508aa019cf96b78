"""The text of a document, piece by piece: plain text, Markdown, HTML, PDF, Word."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

from streamgen.errors import MissingExtra

_PIECE = 1 << 16  # bytes that are read at once
_SILENT = frozenset({"script", "style", "template", "noscript", "svg", "head"})


class Unreadable(Exception):
    """A document has no text to read; says why, and what may help."""


def pieces_of(path: Path) -> Iterator[str]:
    """The document's text; pieces may end amid a word. Raises Unreadable, and OSError."""
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise Unreadable(f"no reader for {path.suffix or 'a file without an ending'}; there is {', '.join(_READERS)}")
    yield from read(path)


def check_readers(paths: Iterator[Path]) -> None:
    """Raise MissingExtra where one of the files needs a library that is not installed."""
    for path in paths:
        module = _MODULES.get(path.suffix.lower())
        if module is not None and find_spec(module) is None:
            raise MissingExtra(f"reading {path.name}", "documents")


def _plain(path: Path) -> Iterator[str]:
    decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            if b"\0" in piece:
                raise Unreadable("it holds zero bytes: no text, or one that is not UTF-8")
            yield decode(piece)


def _html(path: Path) -> Iterator[str]:
    text = _Text()
    for piece in _plain(path):
        text.feed(piece)
        yield text.taken()
    text.close()
    yield text.taken()


class _Text(HTMLParser):
    """What of a page is to be read."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._silent = 0
        self._found: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Words of two elements are two words."""
        self._silent += tag in _SILENT
        self._found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """What is silent ends."""
        self._silent = max(0, self._silent - (tag in _SILENT))
        self._found.append(" ")

    def handle_data(self, data: str) -> None:
        """Keep what is no code."""
        if not self._silent:
            self._found.append(data)

    def taken(self) -> str:
        """What was found since the last time."""
        found, self._found = "".join(self._found), []
        return found


def _pdf(path: Path) -> Iterator[str]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("it is encrypted: take its password off")
        for page in reader.pages:
            yield page.extract_text() + "\n"
    except (PyPdfError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unreadable(f"it is no PDF that can be read: {type(error).__name__}: {error}") from error


def _docx(path: Path) -> Iterator[str]:
    from zipfile import BadZipFile

    from docx import Document
    from docx.opc.exceptions import PackageNotFoundError

    try:
        document = Document(str(path))
    except (BadZipFile, PackageNotFoundError, KeyError, ValueError) as error:
        raise Unreadable(f"it is no Word document that can be read: {type(error).__name__}: {error}") from error
    for paragraph in document.paragraphs:
        yield paragraph.text + "\n"


_READERS: Mapping[str, Callable[[Path], Iterator[str]]] = {
    ".txt": _plain, ".md": _plain, ".html": _html, ".htm": _html, ".pdf": _pdf, ".docx": _docx,
}  # fmt: skip
_MODULES = {".pdf": "pypdf", ".docx": "docx"}
