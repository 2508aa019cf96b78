"""Filters that judge each record by itself: whatever the text, they answer, and the batch makes no difference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen import registry
from streamgen.context import StageContext
from streamgen.engine.results import children_of
from streamgen.engine.stage import Drop, Kind, kind_of
from streamgen.quality.gopher_repetition import shares_of
from streamgen.record import Record, Value

EXAMPLES = Path(__file__).parents[2] / "examples" / "methods"
FILTERS: Mapping[str, Mapping[str, Value]] = {
    "length": {"min_words": 2, "max_characters": 30},
    "gopher_quality": {"min_words": 2},
    "gopher_repetition": {},
    "c4": {"min_sentences": 1},
    "fineweb": {},
    "boilerplate": {"prompt": "text"},
    "language": {"languages": ["en"]},
    "profanity": {"words": str(EXAMPLES / "filters_words.txt")},
    "regex": {"must_not": ["(a|b)+c", r"\n$"]},
}
PIECES = st.sampled_from(
    ["the", "of", "a b", "\n", "\n\n", ".", "...", "• ", "#", "天气", "{", "bloody hell", "I'm sorry, I"]
)
TEXTS = st.lists(PIECES, max_size=30).map(" ".join) | st.text(max_size=60)


def judged(name: str, texts: list[str], batch: int) -> list[str | None]:
    """Why each text is dropped; None where it is kept."""
    handler = registry.find("stages", name)
    struct: Any = registry.settings_type(handler)
    chosen = msgspec.convert({"column": "text", **FILTERS[name]}, struct)
    context = StageContext(name, chosen)
    records = [Record(str(n), {"text": text}) for n, text in enumerate(texts)]
    if kind_of(handler) is Kind.BATCH:
        parts = [handler(records[first : first + batch], context) for first in range(0, len(records), batch)]
        results = [result for part in parts for result in part]
    else:
        results = [handler(record, context) for record in records]
    children = [children_of(result, record, name) for result, record in zip(results, records, strict=True)]
    return [own.reason if isinstance(own, Drop) else None for own in children]


@pytest.mark.parametrize("name", FILTERS)
@given(texts=st.lists(TEXTS, max_size=8), batch=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_every_text_gets_the_same_answer_in_any_batch(name: str, texts: list[str], batch: int) -> None:
    found = judged(name, texts, batch)
    assert len(found) == len(texts)
    assert found == [judged(name, [text], 1)[0] for text in texts]
    assert all(reason is None or reason.isidentifier() for reason in found)


@given(st.lists(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=10), max_size=4), st.integers(2, 4))
@settings(max_examples=200, deadline=None)
def test_shares_of_ngrams_are_those_of_the_definition(documents: list[list[str]], n: int) -> None:
    found = shares_of(documents, {f"top_{n}_gram": None, f"repeated_{n}_gram": None})
    for words, top, repeated in zip(documents, *found.values(), strict=True):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        most = max(grams, key=lambda gram: (grams.count(gram), -grams.index(gram)), default=None)
        top_places = [i for i, gram in enumerate(grams) if gram == most and grams.count(gram) > 1]
        repeats = [i for i, gram in enumerate(grams) if gram in grams[:i]]
        for places, share in ((top_places, top), (repeats, repeated)):
            covered = {i + shift for i in places for shift in range(n)}
            characters = sum(len(words[i]) for i in covered) / max(1, sum(map(len, words)))
            assert share == pytest.approx(characters)
