"""How fluent the texts of a column are: by a model of real ones, and by the model that wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.metrics.kneser_ney import NGramModel
from streamgen.metrics.reference import reference_texts
from streamgen.metrics.spread import Spread, State, number_of
from streamgen.metrics.texts import words_of
from streamgen.record import Record, Value
from streamgen.settings import FilePath, Settings
from streamgen.text import words

_decode = msgspec.msgpack.Decoder(tuple[int, int, int, State, State, State]).decode

_LARGEST = 700.0  # exp of more is no float


class FluencySettings(Settings, frozen=True, kw_only=True):
    """The column; `reference`, a file of real texts, its column (the same where not given), the model's `n`.

    `most` texts of the reference are read. `score` is the name in the provenance of the mean log-probability that the
    generator gave its own tokens, alone or behind a stage's name and a dot (the last of these).
    """

    column: str
    reference: FilePath | None = None
    reference_column: str | None = None
    n: Annotated[int, Meta(ge=1, le=5)] = 3
    most: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    score: str = "logprob"

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Fluency:
    """`perplexity` of all texts by an n-gram model of the reference (see `NGramModel`), and of each; `unknown` words.

    Perplexity counts the ends of texts too. `log_probability` is the spread of the generator's own mean
    log-probabilities, and `without` the number of records that have none.
    """

    def __init__(self, settings: FluencySettings) -> None:
        self._settings = settings
        self._model = _model(settings)
        self._records = self._words = self._unknown = 0
        self._logs, self._each, self._own = Spread(), Spread(), Spread()

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one without a word has no perplexity."""
        self._records += len(records)
        scores = (number_of(_score(record.meta.scores, self._settings.score)) for record in records)
        self._own.update(score for score in scores if score is not None)
        texts = [words for words in words_of(records, self._settings.column) if words]
        if self._model is None or not texts:
            return
        scored = self._model.score(texts)
        self._words += int(scored.words.sum())
        self._unknown += int(scored.unknown.sum())
        self._logs.update(scored.log_probability.tolist())
        means = (-scored.log_probability / scored.words).tolist()
        self._each.update(exp(min(mean, _LARGEST)) for mean in means)

    def merge(self, other: Fluency) -> None:
        """Take in another measurement."""
        self._records += other._records
        self._words += other._words
        self._unknown += other._unknown
        for own, others in zip(self._spreads(), other._spreads(), strict=True):
            own.merge(others)

    def snapshot(self) -> bytes:
        """All that it knows but the reference."""
        counts = (self._records, self._words, self._unknown)
        return msgspec.msgpack.encode((*counts, *(spread.state() for spread in self._spreads())))

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._records, self._words, self._unknown, *states = _decode(snapshot)
        for spread, state in zip(self._spreads(), states, strict=True):
            spread.load(state)

    def result(self) -> dict[str, Value]:
        """The measures so far; None where there is no text, or no reference."""
        mean = -self._logs.total() / self._words if self._words else None
        return {
            "perplexity": None if mean is None else exp(min(mean, _LARGEST)),
            "unknown": self._unknown / self._words if self._words else None,
            "perplexity_of_each": self._each.result(),
            "log_probability": {**self._own.result(), "without": self._records - self._own.count},
        }

    def _spreads(self) -> tuple[Spread, Spread, Spread]:
        return self._logs, self._each, self._own


def _score(scores: Mapping[str, float], name: str) -> float | None:
    if name in scores:
        return scores[name]
    of_stages = [score for own, score in scores.items() if own.endswith(f".{name}")]
    return of_stages[-1] if of_stages else None


def _model(settings: FluencySettings) -> NGramModel | None:
    if settings.reference is None:
        return None
    texts = reference_texts(settings.reference, settings.reference_column or settings.column, settings.most)
    return NGramModel([words(text) for text in texts], settings.n)
