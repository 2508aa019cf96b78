"""What documents of a domain have in common: their terms, their style, and passages on a topic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from streamgen.errors import RecipeError
from streamgen.files import open_bytes
from streamgen.generate._refusals import content_words
from streamgen.text import words

MOST_DOCUMENTS = 5_000  # that are looked at; a sample of a domain, not all of it
_LOOKED_AT = 20_000  # characters of each
_PASSAGE = 600
_SENTENCE_END = re.compile(r"[.!?。！？]+(?:\s|$)")
_decoder = msgspec.json.Decoder(dict[str, Any])


class Corpus(NamedTuple):
    """The documents, their terms, the most telling ones first, and how they are written."""

    documents: tuple[str, ...]
    terms: tuple[str, ...]
    style: str

    def passage(self, topic: str) -> str:
        """The beginning of the document that shares most words with a topic; "" where none does."""
        wanted = set(content_words(topic))
        counts = [len(wanted.intersection(own)) for own in _word_sets(self.documents)]
        best = max(range(len(counts)), key=counts.__getitem__)
        return self.documents[best][:_PASSAGE].strip() if counts[best] else ""

    def terms_of(self, passage: str, most: int) -> list[str]:
        """The corpus's terms that stand in a passage, the most telling ones first."""
        text = f" {' '.join(words(passage))} "
        return list(islice((term for term in self.terms if f" {term} " in text), most))


@lru_cache(maxsize=8)
def read_corpus(path: str, column: str) -> Corpus:
    """The documents of a file: JSON lines with the text in a column, or for any other file its paragraphs.

    Raises RecipeError where there is no text in it.
    """
    documents = tuple(text for text in islice(_documents(path, column), MOST_DOCUMENTS) if text.strip())
    if not documents:
        raise RecipeError(f"{path} holds no text: give JSON lines with {column!r}, or paragraphs")
    return Corpus(documents, _terms(documents), _style(documents))


def _documents(path: str, column: str) -> Iterator[str]:
    if Path(path).suffixes[:1] not in ([".jsonl"], [".ndjson"]):
        yield from _paragraphs(path)
        return
    with open_bytes(Path(path)) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _text(line, column, f"{path}, line {number}")[:_LOOKED_AT]


def _paragraphs(path: str) -> Iterator[str]:
    with open_bytes(Path(path)) as file:
        text = file.read(MOST_DOCUMENTS * _LOOKED_AT).decode("utf-8", "replace")
    yield from (part[:_LOOKED_AT] for part in re.split(r"\n[^\S\n]*\n", text) if part.strip())


def _text(line: bytes, column: str, where: str) -> str:
    try:
        row = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise RecipeError(f"{where} is not a JSON object: {error}") from error
    if column not in row:
        raise RecipeError(f"{where} lacks {column!r}; it has {', '.join(sorted(row)) or 'no columns'}")
    return str(row[column] or "")


@lru_cache(maxsize=8)
def _word_sets(documents: tuple[str, ...]) -> Sequence[frozenset[str]]:
    return [frozenset(content_words(document)) for document in documents]


def _terms(documents: Sequence[str]) -> tuple[str, ...]:
    """Words, and pairs of them, by count times inverse document frequency; pairs that come once are no terms."""
    counts: Counter[str] = Counter()
    holders: Counter[str] = Counter()
    for document in documents:
        found = [word for word in content_words(document) if len(word) > 2 and not word.isdigit()]
        own = Counter([*found, *(f"{one} {other}" for one, other in pairwise(words(document)) if _is_pair(one, other))])
        counts.update(own)
        holders.update(own.keys())
    repeated = [term for term, count in counts.items() if count > 1] or list(counts)
    worth = {term: counts[term] * log(1 + len(documents) / holders[term]) for term in repeated}
    return tuple(sorted(worth, key=lambda term: (-worth[term], term))[:500])


def _is_pair(one: str, other: str) -> bool:
    return len(one) > 2 and len(other) > 2 and len(content_words(f"{one} {other}")) == 2 and not one.isdigit()


def _style(documents: Sequence[str]) -> str:
    """In words for a prompt: how long sentences are, and who speaks to whom.

    >>> _style(["You press the button. Then you wait for the light."])
    'sentences of about 5 words, which address the reader'
    """
    sample = documents[:500]
    found = [word for document in sample for word in words(document)]
    ends = sum(len(_SENTENCE_END.findall(document)) for document in sample)
    counts = Counter(found)
    traits = [f"sentences of about {max(1, round(len(found) / max(ends, 1)))} words"]
    if counts["you"] + counts["your"] > 0.01 * len(found):
        traits.append("which address the reader")
    if counts["i"] + counts["we"] + counts["my"] + counts["our"] > 0.015 * len(found):
        traits.append("in the first person")
    if sum(document.count("?") for document in sample) > 0.2 * max(ends, 1):
        traits.append("with many questions")
    return ", ".join(traits)
