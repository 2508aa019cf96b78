"""A group of filters: what it drops, in what order it asks, what it counts, and what cannot stand in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from judging import records

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingColumn, RecipeError
from streamgen.quality.filters import Filters, FiltersSettings, MemberCounts
from streamgen.quality.ordering import Ordering, greedy
from streamgen.recipe import Recipe
from streamgen.record import Record, Value

SHORT: Mapping[str, Value] = {"type": "length", "name": "short", "column": "text", "min_words": 2}
LONG: Mapping[str, Value] = {"type": "length", "name": "long", "column": "text", "max_characters": 10}
RUDE: Mapping[str, Value] = {"type": "regex", "name": "rude", "column": "text", "must_not": ["darn"]}
SCORED: Mapping[str, Value] = {"type": "profanity", "name": "swears", "column": "text", "action": "tag"}


class Ticking:
    """A clock on which every reading is a second later."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def group(*members: Mapping[str, Value], order: str = "auto") -> tuple[Filters, StageContext[FiltersSettings]]:
    settings = msgspec.convert({"members": members, "order": order}, FiltersSettings)
    settings.check()
    return Filters(settings, clock=Ticking()), StageContext("clean", settings)


def kept(results: Sequence[Result]) -> list[str]:
    return [result.id for result in results if isinstance(result, Record)]


def test_each_drop_names_the_member_and_its_reason() -> None:
    filters, context = group(SHORT, LONG, RUDE, order="given")
    results = filters(records("one", "a b", "darn it", "much too long a text", "darn it, so long"), context)
    expected = [Drop("short.too_short"), None, Drop("rude.forbidden_pattern"), Drop("long.too_long")]
    assert [result if isinstance(result, Drop) else None for result in results] == [*expected, Drop("long.too_long")]


def test_what_a_member_dropped_is_not_shown_to_the_next_one() -> None:
    filters, context = group(SHORT, LONG, RUDE, order="given")
    for _ in range(3):
        filters(records("one", "a b", "darn it", "much too long a text"), context)
    assert filters.statistics() == {
        "short": MemberCounts(judged=12, dropped=3, seconds=3.0),
        "long": MemberCounts(judged=9, dropped=3, seconds=3.0),
        "rude": MemberCounts(judged=6, dropped=3, seconds=3.0),
    }
    assert repr(filters) == "<Filters short 3/12, long 3/9, rude 3/6>"


def test_the_one_that_drops_most_for_its_cost_comes_first_once_it_is_known() -> None:
    filters, context = group(SHORT, LONG, RUDE)
    batch = records(*["darn it"] * 6, "one", "a b")  # nothing is too long; as many seconds for each member
    for _ in range(16):  # 128 records: every member has judged all of them
        filters(batch, context)
    assert [(name, own.judged) for name, own in filters.statistics().items()] == [
        ("rude", 128), ("short", 128), ("long", 128)
    ]  # fmt: skip
    filters(batch, context)
    assert {name: (own.judged, own.dropped) for name, own in filters.statistics().items()} == {
        "rude": (136, 102), "short": (130, 17), "long": (129, 0)
    }  # fmt: skip


def test_now_and_then_all_members_judge_so_that_a_change_is_seen() -> None:
    filters, context = group(SHORT, RUDE)
    for _ in range(64):
        filters(records(*["darn it"] * 8), context)
    assert [*filters.statistics()] == ["rude", "short"]
    assert filters.statistics()["short"].judged == 8 * (16 + 1)  # while it learned, and batch 32
    for _ in range(640):
        filters(records(*["darn"] * 7, "one"), context)
    for _ in range(32 * 65):
        filters(records(*["one"] * 8), context)
    assert [*filters.statistics()] == ["short", "rude"]


TEXTS = st.lists(st.sampled_from(["one", "a b", "darn it", "a text that is long", "darn, this is long", "darn", ""]))


@given(st.lists(TEXTS, max_size=30))
@hypothesis(max_examples=50, deadline=None)
def test_what_passes_depends_on_neither_the_order_nor_what_was_learned(batches: list[list[str]]) -> None:
    learning, learned = group(SHORT, LONG, RUDE)
    passed = [kept(learning(records(*texts), learned)) for texts in batches]
    for members in permutations((SHORT, LONG, RUDE)):
        filters, context = group(*members, order="given")
        assert [kept(filters(records(*texts), context)) for texts in batches] == passed


def test_scores_stand_in_the_order_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("darn")
    one = {**SCORED, "words": str(tmp_path / "words.txt")}
    filters, context = group(one, {**one, "name": "again"}, order="given")
    (result,) = filters(records("darn it"), context)
    assert isinstance(result, Record)
    assert [*result.meta.scores.items()] == [("swears", 1.0), ("again", 1.0)]
    assert result.meta.verdicts == {"swears": "darn", "again": "darn"}


def test_a_member_that_raises_leaves_the_counts_as_they_were() -> None:
    filters, context = group(SHORT, LONG)
    with pytest.raises(MissingColumn, match="'short' reads the column 'text'"):
        filters([*records("a b"), Record("9", {})], context)
    assert all(own == MemberCounts() for own in filters.statistics().values())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"type": "novelty", "column": "text"}, "'novelty' remembers the records that pass it"),
        ({"type": "chat", "model": "m", "prompt": "x"}, "'chat' waits for a model"),
        ({"type": "redact"}, None),
        ({"type": "c4", "column": "text", "rewrite": True}, "'c4' changes columns"),
        ({"type": "template", "columns": {}, "output": "x"}, "unknown setting"),
        ({"type": "lenght", "column": "text"}, "unknown stage type 'lenght'; did you mean 'length'"),
        ({"type": "length", "colum": "text"}, "unknown setting 'colum'"),
        ({"type": "length", "column": "text", "min_words": 3, "max_words": 1}, "no text passes"),
        ({"column": "text"}, "a filter needs a type"),
        ({"type": "length", "name": "a.b", "column": "text"}, "without `.` and `/`"),
        (dict(SHORT), "two filters are called 'short'"),
    ],
)
def test_what_cannot_stand_in_a_group_is_refused_with_its_place(table: dict[str, Value], said: str | None) -> None:
    stage = {"name": "clean", "type": "filters", "members": [SHORT, table]}
    raw = {"source": {"type": "list", "rows": [{"text": "a"}]}, "stages": [stage]}
    if said is None:
        Recipe.parse(raw)
        return
    with pytest.raises(RecipeError, match=said) as raised:
        Recipe.parse(raw)
    assert "members[1]" in str(raised.value)


def test_a_member_that_changes_a_record_after_all_is_an_error() -> None:
    filters, context = group({"type": "redact"})
    assert kept(filters(records("nothing personal"), context)) == ["0"]
    with pytest.raises(TypeError, match="'redact' changes records"):
        filters(records("mail jo@example.org"), context)


def test_files_of_members_are_found_beside_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("darn")
    stage = {"name": "clean", "type": "filters", "members": [{**SCORED, "words": "words.txt"}]}
    raw = {"source": {"type": "list", "rows": [{"text": "a"}]}, "stages": [stage]}
    (spec,) = Recipe.parse(raw, tmp_path).stages
    assert isinstance(spec.settings, FiltersSettings)
    assert spec.settings.members[0]["words"] == str(tmp_path / "words.txt")
    assert spec.settings.reads() == {"text"}
    with pytest.raises(RecipeError, match=r"there is no file .*nope.txt - at `\$.stages\[0\].members\[0\].words`"):
        Recipe.parse({**raw, "stages": [{**stage, "members": [{**SCORED, "words": "nope.txt"}]}]}, tmp_path)


def test_the_greedy_order_looks_at_what_is_left() -> None:
    # 0 and 1 drop the same records; 2 drops fewer, but others.
    masks = [0b011] * 6 + [0b100] * 2 + [0] * 2
    assert greedy([1.0, 1.1, 1.0], masks) == (0, 2, 1)
    assert greedy([9.0, 1.1, 1.0], masks) == (1, 2, 0)
    assert greedy([1.0, 1.0], []) == (0, 1)


def test_nothing_is_ordered_before_enough_is_known() -> None:
    ordering = Ordering(2)
    ordering.spent([10, 10], [5.0, 1.0])
    ordering.profile([0b10] * 127)
    assert (ordering.is_ready, ordering.order) == (False, (0, 1))
    ordering.profile([0b10])
    assert (ordering.is_ready, ordering.order) == (True, (1, 0))
