from __future__ import annotations

import json
from typing import Any

import pytest

from streamgen.llm.embeddings import matrix, packed, read_vectors, unpacked
from streamgen.llm.wire import Unreadable
from streamgen.record import Usage


def body(*rows: Any, **more: Any) -> bytes:
    return json.dumps({"data": list(rows), "usage": {"prompt_tokens": 7}, "model": "m", **more}).encode()


def test_vectors_come_in_the_order_of_the_texts() -> None:
    found = read_vectors(body({"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1.5, 0]}), 2)
    assert [unpacked(vector).tolist() for vector in found.vectors] == [[1.5, 0.0], [3.0, 4.0]]
    assert (found.usage, found.model) == (Usage(7, 0), "m")


def test_rows_without_an_index_are_in_order() -> None:
    found = read_vectors(body({"embedding": [1]}, {"embedding": [2]}, usage=None, model=None), 2)
    assert (found.vectors, found.usage) == ((packed([1.0]), packed([2.0])), Usage(0, 0))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>", "malformed"),
        (b'{"error": "no"}', "missing required field `data`"),
        (body({"embedding": [1]}), r"2 texts were asked about, vectors came for \[0\]"),
        (body({"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}), r"came for \[0, 0\]"),
        (body({"embedding": [1]}, {"embedding": [1, 2]}), "different lengths"),
        (body({"embedding": []}, {"embedding": []}), "or of none"),
        (body({"embedding": [1e308]}, {"embedding": ["a"]}), "Expected `float`"),
        (body({"embedding": "AAAA"}, {"embedding": "AAAA"}), "Expected `array`"),
    ],
)
def test_what_cannot_be_used_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read_vectors(data, 2)


def test_rows_have_unit_length_but_for_zeros() -> None:
    assert matrix([packed([3.0, 4.0]), packed([0.0, 0.0])]).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0, 0],
    ]
    assert len(matrix([])) == 0
