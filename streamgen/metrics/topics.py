"""What the texts of a column are about: topics with their words, their shares, and how these change."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from streamgen.errors import MissingExtra
from streamgen.metrics.class_balance import balance
from streamgen.metrics.sample import LONGEST, Sample
from streamgen.metrics.texts import keys_of, texts_of
from streamgen.record import Record, Value
from streamgen.settings import Settings

if TYPE_CHECKING:
    from sklearn.decomposition import MiniBatchNMF
    from sklearn.feature_extraction.text import TfidfVectorizer

Floats = NDArray[np.float64]

_BATCH = 256  # texts that are learned from at once
_WINDOWS = 32  # at most, of the shares over time
_KEPT = 500  # texts that stand for all in a merge


class TopicsSettings(Settings, frozen=True, kw_only=True):
    """The column, how many `topics`, how many `words` tell of each; `warm_up` texts choose the `vocabulary`."""

    column: str
    topics: Annotated[int, Meta(ge=2, le=200)] = 10
    words: Annotated[int, Meta(ge=1, le=50)] = 8
    vocabulary: Annotated[int, Meta(ge=10, le=50_000)] = 2000
    warm_up: Annotated[int, Meta(ge=10, le=20_000)] = 1000
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0

    def check(self) -> None:
        """Raise MissingExtra without scikit-learn."""
        if find_spec("sklearn") is None:
            raise MissingExtra("the metric topics", "metrics")

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Topics:
    """`topics` with `words` and `share`, their `entropy` (1: all alike), and `over_time`: shares by windows of records.

    Online non-negative matrix factorisation (Lefevre, Bach and Fevotte 2011, as scikit-learn's MiniBatchNMF) of TF-IDF.
    The vocabulary is frozen after the warm-up. It learns as it goes, so it is not free of the order: the same records
    in the same order give the same topics, however they are split. A merge keeps the topics of the one that has seen
    more, and counts the other's records by a uniform sample of 500 of their texts. There is no snapshot: a resumed run
    reads its records again.
    """

    is_costly = True

    def __init__(self, settings: TopicsSettings) -> None:
        settings.check()
        self._settings = settings
        self._sample = Sample(_KEPT)
        self._waiting: list[str] = []
        self._model: Model | None = None
        self._shares = Windows(settings.topics)
        self._seen = 0

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one without a text has no topic."""
        texts = texts_of(records, self._settings.column)
        self._sample.update(keys_of(records, self._settings.column), texts)
        found = [text[:LONGEST] for text in texts if text.strip()]
        self._seen += len(found)
        self._waiting += found
        self._learn()

    def merge(self, other: Topics) -> None:
        """Take in another measurement, as far as a sample of it tells."""
        if other._seen > self._seen:
            self._adopt_and_count(other)
            return
        self._sample.merge(other._sample)
        texts = other._sample.texts()
        self._seen += other._seen
        if other._model is None:  # all that it has seen still waits
            self._waiting += other._waiting
            self._learn()
        elif self._model is not None:
            self._shares.add(self._model.shares_of(texts), other._seen)

    def result(self) -> dict[str, Value]:
        """The topics so far, those of the greatest share first; none of fewer than two texts with words in common."""
        model, shares = self._model, self._shares.copy()
        if model is None:
            model = learned(self._settings, self._waiting)
        if model is not None and self._waiting:
            shares.add(model.shares_of(self._waiting), len(self._waiting))
        total = shares.total()
        if model is None or not total.sum():
            return {"topics": [], "entropy": None, "over_time": [], "records": self._seen}
        words = model.words(self._settings.words)
        order = np.argsort(-total[: len(words)], kind="stable")
        found = [{"words": words[topic], "share": float(total[topic] / total.sum())} for topic in order]
        spread = balance(np.round(total * 1e6).astype(np.int64).tolist())["entropy"]
        return {"topics": found, "entropy": spread, "over_time": shares.over_time(order), "records": self._seen}

    def _adopt_and_count(self, other: Topics) -> None:
        """Go on as the other one, which then takes in what this one has seen."""
        own = Topics(self._settings)
        own.__dict__.update(self.__dict__)
        self._sample, self._waiting, self._seen = Sample(_KEPT), list(other._waiting), other._seen
        self._sample.merge(other._sample)
        self._model, self._shares = other._model and other._model.copy(), other._shares.copy()
        self.merge(own)

    def _learn(self) -> None:
        if self._model is None and len(self._waiting) >= self._settings.warm_up:
            self._model = learned(self._settings, self._waiting[: self._settings.warm_up])
            if self._model is None:  # of no use: the next texts may be better
                self._waiting = self._waiting[self._settings.warm_up :]
                return
            self._count(self._settings.warm_up)
        while self._model is not None and len(self._waiting) >= _BATCH:
            self._model.learn(self._waiting[:_BATCH])
            self._count(_BATCH)

    def _count(self, texts: int) -> None:
        assert self._model is not None
        done, self._waiting = self._waiting[:texts], self._waiting[texts:]
        self._shares.add(self._model.shares_of(done), len(done))


class Model:
    """A frozen vocabulary and the topics over it."""

    def __init__(self, vectorizer: TfidfVectorizer, topics: MiniBatchNMF) -> None:
        self._vectorizer, self._topics = vectorizer, topics

    def learn(self, texts: Sequence[str]) -> None:
        """Learn from some more texts."""
        with _quiet():
            self._topics.partial_fit(self._vectorizer.transform(texts))

    def shares_of(self, texts: Sequence[str]) -> Floats:
        """The mean of the texts' shares of topics; a text of none of the words has none."""
        counts = self._vectorizer.transform(texts)
        counts = counts[np.diff(counts.indptr) > 0]
        if not counts.nnz:
            return np.zeros(len(self._topics.components_))
        with _quiet():
            weights = self._topics.transform(counts)
        sums = weights.sum(axis=1, keepdims=True)
        mean: Floats = (weights / np.where(sums > 0, sums, 1.0)).sum(axis=0) / len(texts)
        return mean

    def words(self, most: int) -> list[list[str]]:
        """The words that weigh most, by topic; none of less than a twentieth of the first one's weight."""
        names = self._vectorizer.get_feature_names_out()
        rows = [(row, np.argsort(-row, kind="stable")[:most]) for row in self._topics.components_]
        return [[str(names[place]) for place in places if row[place] > 0.05 * row.max()] for row, places in rows]

    def copy(self) -> Model:
        """One that learns apart from this one."""
        from copy import deepcopy

        return Model(self._vectorizer, deepcopy(self._topics))


def learned(settings: TopicsSettings, texts: Sequence[str]) -> Model | None:
    """Topics of these texts; None where they have no words in common."""
    from sklearn.decomposition import MiniBatchNMF
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        max_features=settings.vocabulary, stop_words="english", sublinear_tf=True, min_df=2 if len(texts) > 20 else 1
    )
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # nothing but stop words, or not a word in two texts
        return None
    known: Any = min(settings.topics, *counts.shape)
    topics = MiniBatchNMF(
        known, init="nndsvda" if known < min(counts.shape) else "random", random_state=settings.seed, batch_size=_BATCH
    )
    with _quiet():
        topics.fit(counts)
    return Model(vectorizer, topics)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without scikit-learn's word on texts whose shares could be some digits more exact, or that have none."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


class Windows:
    """Sums of shares by windows of records; where they are too many, each two neighbours become one."""

    def __init__(self, topics: int) -> None:
        self._topics = topics
        self._sums: list[tuple[int, Floats]] = []

    def add(self, mean: Floats, records: int) -> None:
        """Add the mean shares of so many records."""
        whole = np.zeros(self._topics)
        whole[: len(mean)] = mean * records
        self._sums.append((records, whole))
        if len(self._sums) > _WINDOWS:
            pairs = zip(self._sums[::2], self._sums[1::2], strict=False)
            odd = self._sums[-1:] if len(self._sums) % 2 else []
            self._sums = [(one + other, first + second) for (one, first), (other, second) in pairs] + odd

    def total(self) -> Floats:
        """The sum of all."""
        return np.sum([sums for _, sums in self._sums], axis=0) if self._sums else np.zeros(self._topics)

    def over_time(self, order: NDArray[np.intp]) -> list[dict[str, Value]]:
        """The windows, each with its records and its shares in this order."""
        return [{"records": records, "shares": [round(float(sums[topic] / (sums.sum() or 1)), 6) for topic in order]}
                for records, sums in self._sums]  # fmt: skip

    def copy(self) -> Windows:
        """One that goes on apart from this one."""
        copied = Windows(self._topics)
        copied._sums = list(self._sums)
        return copied
