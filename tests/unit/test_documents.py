"""Documents as rows: chunks of any file that has text, and a reason for each that has none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgen.documents import DocumentsSettings, documents
from streamgen.errors import RecipeError
from streamgen.recipe import Recipe
from streamgen.source import BadRow


def rows(path: Path, **more: Any) -> list[Any]:
    settings = DocumentsSettings(**{"path": str(path), "words": 10, "overlap": 2, "least": 3, **more})
    settings.check()
    return list(documents(settings))


def words(first: int, last: int) -> str:
    return " ".join(f"w{n}" for n in range(first, last))


def test_chunks_overlap_and_short_rests_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(words(0, 21))
    assert rows(file) == [
        {"document": "a.txt", "chunk": 0, "text": words(0, 10)},
        {"document": "a.txt", "chunk": 1, "text": words(8, 18)},
        {"document": "a.txt", "chunk": 2, "text": words(16, 21)},
    ]
    file.write_text(words(0, 20))
    assert [row["text"] for row in rows(file)] == [words(0, 10), words(8, 18)]
    file.write_text("one two")
    assert [row["text"] for row in rows(file)] == ["one two"]


@given(st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=60), st.integers(0, 9))
def test_every_word_stands_in_a_chunk_and_none_twice_but_for_the_overlap(
    tmp_path_factory: pytest.TempPathFactory, text: list[str], overlap: int
) -> None:
    file = tmp_path_factory.mktemp("d") / "a.md"
    file.write_text(" ".join(text))
    chunks = [row["text"].split() for row in rows(file, overlap=overlap, least=1)]
    joined = chunks[0] + [word for chunk in chunks[1:] for word in chunk[overlap:]]
    assert joined == text


def test_a_folder_is_read_in_the_order_of_names_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.md", ".hidden/x.txt", "a/d.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    assert [row["document"] for row in rows(tmp_path)] == ["a/c.md", "a/d.md", "b.txt"]
    assert [row["document"] for row in rows(tmp_path, glob="*.txt")] == ["b.txt"]


def test_pages_are_read_without_their_code(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<head><title>no</title></head><p>Tom &amp; I</p><script>no()</script><b>go</b> home")
    assert rows(file)[0]["text"] == "Tom & I go home"


def test_word_documents_are_read(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx")
    document = docx.Document()
    document.add_paragraph("The first one.")
    document.add_paragraph("The second.")
    document.save(str(tmp_path / "a.docx"))
    assert rows(tmp_path / "a.docx")[0]["text"] == "The first one. The second."


def test_a_pdf_without_text_is_a_scan_and_the_rest_goes_on(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(tmp_path / "a.pdf")
    (tmp_path / "b.txt").write_text("text")
    scan, row = rows(tmp_path)
    assert scan == BadRow("a.pdf", "it has no text: a scan has to be read by OCR first", "")
    assert row["document"] == "b.txt"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "it is empty"),
        ("a.txt", b" \n\t ", "it has no text"),
        ("a.txt", b"\x89PNG\0\0", "it holds zero bytes"),
        ("a.odt", b"x", "no reader for .odt; there is .txt, .md, .html, .htm, .pdf, .docx"),
        ("a.pdf", b"no pdf", "it is no PDF that can be read"),
        ("a.docx", b"no zip", "it is no Word document that can be read"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    (bad,) = rows(tmp_path)
    assert isinstance(bad, BadRow) and bad.where == name and said in bad.error


def test_bytes_that_are_no_text_become_replacement_characters_and_long_words_are_cut(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9 " + b"x" * 200_000 + b" end")
    chunks = rows(tmp_path, words=1000, overlap=0)
    found = chunks[0]["text"].split()
    assert found[0] == "caf\N{REPLACEMENT CHARACTER}" and found[-1] == "end"
    assert max(map(len, found)) == 1000 and len(found) == 202


def test_what_cannot_work_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    source = {"type": "documents", "path": "docs"}
    with pytest.raises(RecipeError, match=r"path: no file in .*docs matches \*\*/\*"):
        Recipe.parse({"source": source}, tmp_path)
    (tmp_path / "docs" / "a.txt").write_text("text")
    assert Recipe.parse({"source": source}, tmp_path).source is not None
    with pytest.raises(RecipeError, match="overlap: 250 is not below words = 250"):
        Recipe.parse({"source": {**source, "overlap": 250}}, tmp_path)
