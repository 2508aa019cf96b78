from __future__ import annotations

from random import Random

import pytest

from streamgen.metrics.topics import Topics, TopicsSettings
from streamgen.record import Record, Value

WORDS = {
    "sea": ["ship", "sailor", "harbour", "anchor", "wave"],
    "kitchen": ["oven", "recipe", "flour", "butter", "cake"],
    "court": ["judge", "lawyer", "verdict", "trial", "witness"],
}


def records(count: int, seed: int = 0, about: tuple[str, ...] = tuple(WORDS)) -> list[Record]:
    rng = Random(seed)
    return [
        Record(f"{seed}.{n}", {"text": " ".join(rng.choices(WORDS[about[n % len(about)]], k=9))}) for n in range(count)
    ]


def measured(*batches: list[Record], **settings: Value) -> Topics:
    topics = Topics(TopicsSettings(column="text", **{"topics": 3, "warm_up": 60, **settings}))
    for batch in batches:
        topics.update(batch)
    return topics


def found(topics: Topics) -> dict[str, float]:
    """The share of each known subject, by the topic whose words are its own."""
    told = topics.result()["topics"]
    return {name: topic["share"] for topic in told for name, own in WORDS.items() if set(topic["words"]) <= set(own)}


@pytest.mark.parametrize("count", [30, 60, 700, 3000])
def test_topics_are_found_before_and_after_the_warm_up(count: int) -> None:
    topics = measured(records(count))
    assert found(topics) == {name: pytest.approx(1 / 3, abs=0.03) for name in WORDS}
    assert topics.result()["entropy"] == pytest.approx(1.0, abs=0.01)


def test_the_same_order_gives_the_same_topics_however_it_is_split() -> None:
    rows = records(1000)
    once = measured(rows).result()
    assert measured(rows[:7], rows[7:61], rows[61:700], rows[700:]).result() == once


def test_a_drift_shows_in_the_shares_over_time() -> None:
    rows = [*records(2000, 1), *records(2000, 2, ("sea",))]
    told = measured(rows).result()
    shares = [window["shares"][0] for window in told["over_time"]]
    assert set(told["topics"][0]["words"]) <= set(WORDS["sea"])
    assert shares[0] < 0.4 and shares[-1] > 0.9
    assert sum(window["records"] for window in told["over_time"]) == 4000


def test_a_merge_counts_what_the_smaller_one_has_seen_by_a_sample() -> None:
    one, other = measured(records(3000, 1, ("sea", "kitchen"))), measured(records(1000, 2, ("court", "sea")))
    for merged in (measured(records(3000, 1, ("sea", "kitchen"))), one):
        merged.merge(measured(records(1000, 2, ("court", "sea"))))
        assert merged.result()["records"] == 4000
    other.merge(measured(records(3000, 1, ("sea", "kitchen"))))
    assert other.result()["records"] == 4000
    assert [topic["words"] for topic in other.result()["topics"]] == [t["words"] for t in one.result()["topics"]]


def test_windows_are_bounded() -> None:
    topics = measured(*(records(256, seed) for seed in range(80)))
    assert len(topics.result()["over_time"]) <= 33


@pytest.mark.parametrize("texts", [[], [""] * 100, ["the of and"] * 100, ["天地"] * 100, [None, 7, ["x"]] * 40])
def test_texts_without_topics(texts: list[Value]) -> None:
    told = measured([Record(str(n), {"text": text}) for n, text in enumerate(texts)]).result()
    assert "nan" not in repr(told)
    assert told["records"] == sum(bool(str(text or "").strip()) for text in texts)


def test_words_that_never_came_before_are_no_topic_of_their_own() -> None:
    topics = measured(records(600), [Record(str(n), {"text": "entirely new vocabulary"}) for n in range(256)])
    words = {word for topic in topics.result()["topics"] for word in topic["words"]}
    assert words <= {word for own in WORDS.values() for word in own}
