from __future__ import annotations

from random import Random

import numpy as np
import pytest

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Memory
from streamgen.errors import MissingColumn
from streamgen.quality import ngrams as ngrams_module
from streamgen.quality.minhash import MinHashIndex, jaccard
from streamgen.quality.near_duplicate import NearDuplicate, NearDuplicateSettings
from streamgen.quality.ngrams import hashed, in_groups, ngrams, word_hash
from streamgen.record import Record

SETTINGS = NearDuplicateSettings(column="text")
CONTEXT = StageContext("near", SETTINGS)


def records(*texts: object) -> list[Record]:
    return [Record(str(i), {"text": text}) for i, text in enumerate(texts)]


def sentence(length: int, seed: int = 0) -> list[str]:
    rng = Random(seed)
    return [f"word{rng.randrange(10_000)}" for _ in range(length)]


def test_a_text_with_one_word_changed_is_dropped_within_a_batch() -> None:
    text = sentence(100)
    changed = [*text[:50], "other", *text[51:]]  # 95 of 98 shingles stay: J = 95 / 101
    first, second = NearDuplicate(SETTINGS)(records(" ".join(text), " ".join(changed)), CONTEXT)
    assert first == records(" ".join(text))[0].scored("near", 0.0)
    assert second == Drop("near_duplicate")


def test_what_passes_carries_the_true_jaccard_similarity() -> None:
    text = sentence(100)
    settings = NearDuplicateSettings(column="text", threshold=1.0)
    changed = [*text[:50], "other", *text[51:]]
    _, second = NearDuplicate(settings)(records(" ".join(text), " ".join(changed)), StageContext("near", settings))
    assert isinstance(second, Record)
    assert second.meta.scores == {"near": 95 / 101}


def test_the_threshold_is_that_of_each_call() -> None:
    text = sentence(100)
    changed = " ".join([*text[:50], "other", *text[51:]])
    stage = NearDuplicate(SETTINGS)
    stage(records(" ".join(text)), CONTEXT)
    loose = StageContext("near", NearDuplicateSettings(column="text", threshold=0.99))
    assert stage(records(changed), CONTEXT) == [Drop("near_duplicate")]
    assert isinstance(stage(records(changed), loose)[0], Record)


def test_short_and_empty_texts_are_ordinary() -> None:
    texts = ["", "", "yes", "no", "Yes!", None, 7, "two words", "東京は大きい", "東京は大きい。"]
    results = NearDuplicate(SETTINGS)(records(*texts), CONTEXT)
    assert [r["text"] for r in results if isinstance(r, Record)] == ["", "yes", "no", 7, "two words", "東京は大きい"]


def test_texts_that_share_less_than_half_are_kept() -> None:
    shared = sentence(40)
    texts = [" ".join(shared + sentence(60, seed)) for seed in range(1, 51)]
    assert all(isinstance(r, Record) for r in NearDuplicate(SETTINGS)(records(*texts), CONTEXT))


def test_nearly_all_pairs_above_the_threshold_are_found() -> None:
    index, rng = MinHashIndex(3), Random(1)
    texts = [sentence(100, seed) for seed in range(500)]
    for sketch in index.sketch([" ".join(text) for text in texts]):
        index.add(sketch)
    found = 0
    for text in texts:
        at = rng.randrange(5, 90)  # three neighbours replaced: 93 of 98 shingles stay, J = 93 / 103 = .90
        changed = [*text[:at], "x", "y", "z", *text[at + 3 :]]
        found += index.nearest(index.sketch([" ".join(changed)])[0]) > 0.8
    assert found == 500  # missed with a probability of 1e-7 each


def test_a_changed_shingle_is_refused() -> None:
    tuned = StageContext("near", NearDuplicateSettings(column="text", shingle=2))
    with pytest.raises(ValueError, match="`shingle` cannot change"):
        NearDuplicate(SETTINGS)(records("a"), tuned)


def test_a_missing_column_raises_before_anything_is_remembered() -> None:
    stage = NearDuplicate(SETTINGS)
    with pytest.raises(MissingColumn):
        stage([*records("a b c"), Record("2", {})], CONTEXT)
    assert isinstance(stage(records("a b c"), CONTEXT)[0], Record)


def test_ngrams_stay_within_their_document() -> None:
    together = ngrams(hashed([["a", "b", "c"], ["d", "e"], ["a", "b"]]), 2)
    assert together.starts.tolist() == [0, 2, 3]
    apart = [ngrams(hashed([document]), 2).hashes.tolist() for document in (["a", "b", "c"], ["d", "e"], ["a", "b"])]
    assert together.hashes.tolist() == [*apart[0], *apart[1], *apart[2]]
    assert apart[0][0] == apart[2][0]
    assert len({*apart[0], *apart[1]}) == 3


def test_the_order_of_words_makes_another_ngram() -> None:
    hashes = ngrams(hashed([["a", "b"], ["b", "a"]]), 2).hashes
    assert hashes[0] != hashes[1]


def test_jaccard_of_disjoint_and_equal_sets() -> None:
    one, other = np.array([1, 2], np.uint64), np.array([3, 4, 5], np.uint64)
    assert jaccard(one, [other, one, np.array([0, 2], np.uint64)]).tolist() == [0.0, 1.0, 1 / 3]


def test_what_is_kept_of_records_that_pass_is_known_in_the_next_session() -> None:
    text = sentence(100)
    first, near, other = records(" ".join(text), " ".join([*text[:20], *sentence(80)]), "something else")
    stage, again = NearDuplicate(SETTINGS), NearDuplicate(SETTINGS)
    kept: list[tuple[str, bytes]] = []
    stage.keep = lambda id_, body: kept.append((id_, body))
    passed = stage([first, near, other], CONTEXT)
    assert [id_ for id_, _ in kept] == [first.id, near.id, other.id]
    again.recall([Memory(kept[0][1]), Memory(kept[1][1], near.id)])
    assert again([first, near], CONTEXT) == [Drop("near_duplicate"), passed[1]]
    assert (repr(again), len(kept)) == ("<NearDuplicate of 2 records>", 3)


def test_words_without_an_end_are_not_kept_in_memory_and_mean_the_same() -> None:
    long = "x" * 10_000_000
    documents = hashed([[long, "a"], ["a", long], ["a"]])
    assert "a" in ngrams_module._known and long not in ngrams_module._known
    assert documents.words.tolist() == [word_hash(word) for word in (long, "a", "a", long, "a")]


def test_documents_are_worked_on_in_groups_with_the_same_outcome() -> None:
    documents = [["a"] * length for length in (3, 0, 4, 9, 1)]
    assert [*map(len, in_groups(documents, 4))] == [2, 1, 1, 1]
    assert [document for group in in_groups(documents, 4) for document in group] == documents


def test_no_more_hashes_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams_module, "_MOST_KNOWN", 3)
    known = ngrams_module._KnownHashes()
    values = [known[word] for word in "abcdabcd"]
    assert values[:4] == values[4:] and len(known) == 2
