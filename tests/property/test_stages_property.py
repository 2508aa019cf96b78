"""Filters and metrics against their plain definitions, and against any split, order and merging of their input."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamgen.quality.rouge import RougePool
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
