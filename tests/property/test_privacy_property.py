"""Detectors never fail, their spans lie within the text, and what is masked stays masked."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamgen.privacy.detect import KINDS, detect
from streamgen.privacy.redact import mask

PIECES = st.sampled_from(
    [
        "jo@example.org",
        "10.0.0.1",
        "::1",
        "4111 1111 1111 1111",
        "+44 7700 900123",
        "4673395",
        "call ",
        "phone",
        " ",
        "@",
        "054-28-6917",
        "https://x.org/a",
        "GB82WEST12345698765432",
        "born 1/2/1990",
        "12 High Street",
        "password=",
        "a1",
        "-----BEGIN PRIVATE KEY-----",
        "00:1A:2b:3c:4D:5e",
        "NHS 943 476 5919",
        ".",
        "-",
        "\n",
        "é",
        "天",
        "0",
        "[",
    ]
)
TEXTS = st.text() | st.lists(PIECES, max_size=10).map("".join) | st.lists(PIECES, max_size=8).map(" ".join)


@given(TEXTS)
def test_spans_lie_within_the_text_in_order_and_apart(text: str) -> None:
    spans = detect(text, KINDS)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))


@given(TEXTS)
def test_a_masked_text_holds_nothing_more_to_mask(text: str) -> None:
    masked, _ = mask(text, KINDS)
    assert detect(masked, KINDS) == []
    assert mask(masked, KINDS) == (masked, {})
