"""Filters and metrics against their plain definitions, and against any split, order and merging of their input."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.context import StageContext
from streamgen.metrics import Accumulator
from streamgen.metrics.class_balance import ClassBalance, ClassBalanceSettings
from streamgen.metrics.counts import Counts, CountsSettings
from streamgen.metrics.distinct_n import DistinctN, DistinctNSettings
from streamgen.metrics.lengths import Lengths, LengthsSettings
from streamgen.quality.exact_duplicate import ExactDuplicate, ExactDuplicateSettings
from streamgen.quality.near_duplicate import NearDuplicate, NearDuplicateSettings
from streamgen.quality.ngrams import hashed, ngrams
from streamgen.quality.novelty import Novelty, NoveltySettings
from streamgen.quality.rouge import RougePool
from streamgen.record import Meta, Record
from streamgen.text import words

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d", "天", "B", "-"]), max_size=12).map(" ".join)


def longest_common_subsequence(one: list[str], other: list[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        below = [0]
        for column, candidate in enumerate(other):
            below.append(row[column] + 1 if word == candidate else max(row[column + 1], below[column]))
        row = below
    return row[-1]


def rouge_l(one: list[str], other: list[str]) -> float:
    return 2 * longest_common_subsequence(one, other) / (len(one) + len(other)) if one or other else 0.0


@given(st.lists(TEXTS, max_size=12), TEXTS, st.floats(0.0, 1.0), st.integers(1, 12))
@settings(max_examples=500, deadline=None)
def test_the_greatest_rouge_l_is_that_of_the_definition(
    texts: list[str], text: str, at_least: float, most: int
) -> None:
    pool = RougePool()
    for other in texts:
        pool.add(other, most)
    expected = max((rouge_l(words(text), words(other)) for other in texts[-most:]), default=0.0)
    assert pool.greatest(text) == expected
    assert pool.greatest(text, at_least) == (expected if expected >= at_least else 0.0)


ROWS = st.lists(
    st.builds(
        lambda ticket, text, label: Record(str(ticket), {"text": text, "label": label}, Meta(ticket=ticket)),
        st.integers(-1, 5000),
        TEXTS,
        st.sampled_from(["x", "y", "z", None, 1]),
    ),
    max_size=20,
)
METRICS: dict[str, Callable[[], Accumulator]] = {
    "counts": lambda: Counts(CountsSettings(by=("label", "text"), most_values=4)),
    "lengths": lambda: Lengths(LengthsSettings(column="text")),
    "distinct_n": lambda: DistinctN(DistinctNSettings(column="text", kept=16)),
    "class_balance": lambda: ClassBalance(ClassBalanceSettings(labels=("w",), most_labels=3)),
}


@pytest.mark.parametrize("name", METRICS)
@given(rows=ROWS, data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_split_order_and_merging_gives_the_same_measure(name: str, rows: list[Record], data: st.DataObject) -> None:
    whole = METRICS[name]()
    whole.update(rows)
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    parts = []
    for start, end in pairwise([0, *cuts, len(rows)]):
        part = METRICS[name]()
        part.update(shuffled[start:end])
        parts.append(part)
    while len(parts) > 1:
        taken = parts.pop(data.draw(st.integers(0, len(parts) - 1)))
        parts[data.draw(st.integers(0, len(parts) - 1))].merge(taken)
    assert parts[0].result() == whole.result()


@given(st.lists(TEXTS, max_size=20), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_filters_keep_the_same_records_in_any_batches(texts: list[str], batch: int) -> None:
    records = [Record(str(index), {"text": text}) for index, text in enumerate(texts)]
    for stage, chosen in (
        (ExactDuplicate, ExactDuplicateSettings(columns=("text",))),
        (NearDuplicate, NearDuplicateSettings(column="text", shingle=2)),
        (Novelty, NoveltySettings(column="text", scored=True)),
    ):
        context = StageContext("filter", chosen)
        one, many = stage(chosen), stage(chosen)
        alone = [many([record], context)[0] for record in records]
        batched = [result for i in range(0, len(records), batch) for result in one(records[i : i + batch], context)]
        assert batched == alone
        distinct = [result.columns["text"] for result in alone if isinstance(result, Record)]
        assert stage is Novelty or len(set(distinct)) == len(distinct)


@given(st.lists(st.lists(st.integers(0, 8), max_size=10), max_size=8), st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_ngrams_of_a_batch_are_those_of_each_text(documents: list[list[int]], n: int) -> None:
    texts = [[str(number) for number in document] for document in documents]
    found = ngrams(hashed(texts), n)
    ends = [*found.starts[1:], len(found.hashes)] if texts else []
    names: dict[tuple[str, ...], int] = {}
    for text, start, end in zip(texts, found.starts, ends, strict=True):
        expected = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
        hashes = found.hashes[start:end].tolist()
        assert len(hashes) == len(expected)
        assert all(names.setdefault(gram, value) == value for gram, value in zip(expected, hashes, strict=True))
    assert len(set(names.values())) == len(names)
