"""Records and the lines that they become."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streamgen.record import META_KEY, Meta, Record, decode, encode

TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=5)


@given(TEXTS, st.dictionaries(TEXTS.filter(lambda name: name != META_KEY), VALUES), st.integers(-1, 5))
def test_a_line_is_one_json_object_that_gives_the_record_back(
    id_: str, columns: dict[str, object], ticket: int
) -> None:
    record = Record(id_, columns, Meta(ticket=ticket))
    line = encode(record)
    meta = {"id": id_, **msgspec.to_builtins(record.meta)}
    assert line == msgspec.json.encode({**columns, META_KEY: meta})
    assert decode(line) == record


def test_a_column_named_like_the_provenance_gives_way_to_it() -> None:
    line = encode(Record("3", {META_KEY: "mine", "a": 1}, Meta(ticket=3)))
    assert decode(line) == Record("3", {"a": 1}, Meta(ticket=3))
    assert line.count(b"_meta") == 1
