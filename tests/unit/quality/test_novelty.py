from __future__ import annotations

import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Memory
from streamgen.errors import MissingColumn
from streamgen.quality import rouge
from streamgen.quality.novelty import Novelty, NoveltySettings
from streamgen.quality.rouge import RougePool
from streamgen.record import Record

SETTINGS = NoveltySettings(column="text")
CONTEXT = StageContext("novelty", SETTINGS)


def records(*texts: object) -> list[Record]:
    return [Record(str(i), {"text": text}) for i, text in enumerate(texts)]


def test_too_similar_texts_are_dropped_within_a_batch() -> None:
    results = Novelty(SETTINGS)(
        records("write a poem about the sea", "write a poem about the sky", "add two numbers"), CONTEXT
    )
    assert results == [
        records("write a poem about the sea")[0],
        Drop("not_novel"),
        Record("2", {"text": "add two numbers"}),
    ]


def test_a_text_exactly_on_the_threshold_is_not_novel() -> None:
    at = StageContext("novelty", NoveltySettings(column="text", threshold=0.75))
    above = StageContext("novelty", NoveltySettings(column="text", threshold=0.76))
    stage = Novelty(at.settings)
    stage(records("a b c d"), at)
    assert stage(records("a b c x"), at) == [Drop("not_novel")]
    assert stage(records("a b c x"), above) == records("a b c x")


def test_the_score_is_the_greatest_rouge_l() -> None:
    settings = NoveltySettings(column="text", scored=True)
    results = Novelty(settings)(records("a b c d", "a x b y", "p q"), StageContext("novelty", settings))
    assert [r.meta.scores["novelty"] for r in results if isinstance(r, Record)] == [0.0, 0.5, 0.0]


def test_only_the_newest_texts_stay_in_a_bounded_pool() -> None:
    settings = NoveltySettings(column="text", pool=2)
    stage, context = Novelty(settings), StageContext("novelty", settings)
    texts = [f"{word} {word}" for word in ("a", "b", "c", "a", "b", "c", "a", "a")]
    results = stage(records(*texts), context)
    assert [isinstance(r, Record) for r in results] == [True] * 7 + [False]
    assert repr(stage) == "<Novelty against 2 texts>"


def test_texts_without_words_are_novel() -> None:
    assert Novelty(SETTINGS)(records("", "", None, "🙂", "🙂"), CONTEXT) == records("", "", None, "🙂", "🙂")


def test_other_scripts_and_numbers_are_ordinary() -> None:
    results = Novelty(SETTINGS)(records("今天天气很好", "今天天气很好吗", 7, 7), CONTEXT)
    assert [isinstance(r, Record) for r in results] == [True, False, True, False]


def test_a_vocabulary_beyond_the_code_points_gives_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rouge, "_CODE_POINTS", 4)
    pool = RougePool()
    for text in ("a b c", "d e f a b", "g h"):
        pool.add(text)
    assert pool.greatest("d e a b x") == 2 * 4 / 10
    assert pool.greatest("x a b c") == 2 * 3 / 7


def test_a_missing_column_raises_before_anything_is_remembered() -> None:
    stage = Novelty(SETTINGS)
    with pytest.raises(MissingColumn):
        stage([*records("a b c"), Record("2", {})], CONTEXT)
    assert stage(records("a b c"), CONTEXT) == records("a b c")


def test_what_is_kept_of_records_that_pass_is_known_in_the_next_session() -> None:
    settings = NoveltySettings(column="text", scored=True)
    stage, again, context = Novelty(settings), Novelty(settings), StageContext("novelty", settings)
    kept: list[tuple[str, bytes]] = []
    stage.keep = lambda id_, body: kept.append((id_, body))
    first, second, third = records("a b c d", "a x b y", "a b c d")
    passed = stage([first, second, third], context)
    again.recall([Memory(kept[0][1]), Memory(kept[1][1], second.id)])
    assert again([third, second, second.with_columns(text="a b c d")], context) == [
        Drop("not_novel"), passed[1], Drop("not_novel"),
    ]  # fmt: skip
    assert len(kept) == 2
