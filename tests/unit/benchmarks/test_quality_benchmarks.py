"""The benchmarks of the filters, tiny: what they plant is what they say, and they measure what they should."""

from argparse import Namespace

import pytest

from benchmarks import duplicates, filters, novelty
from benchmarks.documents import Documents


def test_documents_are_the_same_for_a_seed_and_about_as_long_as_asked():
    one, again = Documents(3), Documents(3)
    documents = [one.document(100) for _ in range(20)]
    assert documents == [again.document(100) for _ in range(20)]
    assert all(100 <= len(document) <= 107 for document in documents)
    assert len(one.edited(documents[0], 0)) == len(documents[0])


def test_planted_copies_stand_behind_their_originals_with_their_true_similarity():
    made = duplicates.corpus(200, 0.1, 60, seed=2)
    assert (len(made.texts), len(made.similarity)) == (200, 20)
    exact = duplicates.nearest(made.texts, sorted(made.similarity))
    assert all(exact[n] >= similarity for n, similarity in made.similarity.items())
    assert duplicates.jaccard(duplicates.shingles("a b c d"), duplicates.shingles("a b c e")) == 1 / 3


def test_the_report_of_duplicates_tells_all_that_was_asked():
    said = duplicates.report(Namespace(documents=600, share=0.1, words=60, seed=1, threshold=0.8))
    assert "600 documents of about 60 words, 60 of them planted copies" in said
    assert "precision" in said and "every answer is the same" in said


@pytest.mark.parametrize("seed", [1, 2])
def test_the_filter_and_the_comparison_with_each_text_agree(seed):
    assert "answers that differ: 0" in novelty.report(pool=150, new=200, seed=seed)


def test_every_order_of_the_filters_keeps_the_same_documents():
    assert "records on which the orders differ: 0" in filters.report(128, seed=1)
