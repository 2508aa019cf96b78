"""Finds swear words, by a list of the user's and by a classifier, and tags or drops the texts that hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingExtra
from streamgen.quality.phrases import phrases_of
from streamgen.record import Record
from streamgen.settings import FilePath, Settings
from streamgen.text import text_of, words

_SHOWN = 10  # different words in a verdict
_READ = 10_000  # characters that the classifier reads: it was trained on comments


class ProfanitySettings(Settings, frozen=True, kw_only=True):
    """A file of `words` and phrases, one a line, of which a text may hold `most`; or a `classifier`; or both.

    The classifier (alt-profanity-check, English) says how likely a text is profane: from `min_probability` on it is.
    `action = "tag"` lets all pass with a score: a word list flags a tenth of ordinary records.
    """

    column: str
    words: FilePath | None = None
    most: Annotated[int, Meta(ge=0)] = 0
    classifier: bool = False
    min_probability: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.8
    action: Literal["drop", "tag"] = "drop"

    def check(self) -> None:
        """Raise ValueError where there is nothing to find profanity by, RecipeError for a file that is no list."""
        if self.words is None and not self.classifier:
            raise ValueError("words: give a file of words, one a line, or classifier = true")
        if self.words is not None:
            phrases_of(self.words)
        if self.classifier and find_spec("profanity_check") is None:
            raise MissingExtra("the classifier of the stage `profanity`", "profanity")

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


def profanity(records: Sequence[Record], context: StageContext[ProfanitySettings]) -> Sequence[Result]:
    """Each record, scored, or a drop as `profanity`.

    The score under the stage's name is how many listed words were found, and as `stage.probability` what the
    classifier says; the words themselves are its verdict.
    """
    settings = context.settings
    texts = [text_of(record, settings.column, context.stage) for record in records]
    listed = [_listed(text, settings.words) for text in texts]
    likely = _likely(texts) if settings.classifier else [None] * len(texts)
    return [_judged(*each, context) for each in zip(records, listed, likely, strict=True)]


def _listed(text: str, path: str | None) -> Counter[str]:
    return Counter(phrases_of(path).within(words(text))) if path is not None else Counter()


def _likely(texts: Sequence[str]) -> list[float]:
    """In one call for all: one by one it takes 60 times as long."""
    from profanity_check import predict_prob

    return [float(probability) for probability in predict_prob([text[:_READ] for text in texts])]


def _judged(
    record: Record, listed: Counter[str], likely: float | None, context: StageContext[ProfanitySettings]
) -> Result:
    settings = context.settings
    is_profane = listed.total() > settings.most or (likely is not None and likely >= settings.min_probability)
    if is_profane and settings.action == "drop":
        return Drop("profanity")
    if settings.words is not None:
        record = record.scored(context.stage, float(listed.total()))
    if likely is not None:
        record = record.scored(f"{context.stage}.probability", likely)
    if not listed:
        return record
    return record.with_meta(verdicts={**record.meta.verdicts, context.stage: ", ".join(sorted(listed)[:_SHOWN])})
