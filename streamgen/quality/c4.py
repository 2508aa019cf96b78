"""Keeps pages with enough good lines: the rules of C4 (Raffel et al. 2020, JMLR 21:140, section 2.2)."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.lines import TERMINAL, lines_of
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of, words

_SENTENCE_END = re.compile(r"[.!?]+[\"'”’»)\]]*(?=\s|$)|[。！？।።؟]")
_POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


class C4Settings(Settings, frozen=True, kw_only=True):
    """The paper's rules; each can be turned off, by False or 0.

    A line is bad that does not end as a sentence does (`terminal`), has less than `min_line_words`, a word of more
    than `max_word` characters, the word "javascript" or one of the phrases about cookies and terms of use (`policies`;
    these and `max_word` are rules of its code, not of the paper). A page is dropped for "lorem ipsum", for a curly
    bracket (`braces`; turn it off for code) and where its good lines have less than `min_sentences`. With `rewrite`
    only the good lines are kept of it, as the paper does.
    """

    column: str
    terminal: bool = True
    min_line_words: Annotated[int, Meta(ge=0)] = 3
    max_word: Annotated[int, Meta(ge=0)] = 1000
    javascript: bool = True
    policies: bool = True
    lorem_ipsum: bool = True
    braces: bool = True
    min_sentences: Annotated[int, Meta(ge=0)] = 5
    rewrite: bool = False

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})

    def writes(self) -> frozenset[str]:
        """The column, where bad lines are taken out."""
        return self.reads() if self.rewrite else frozenset()


def c4(record: Record, context: StageContext[C4Settings]) -> Result:
    """The record, or a drop as `lorem_ipsum`, `curly_bracket` or `too_few_sentences`."""
    settings = context.settings
    text = text_of(record, settings.column, context.stage)
    if settings.lorem_ipsum and "lorem ipsum" in text.casefold():
        return Drop("lorem_ipsum")
    if settings.braces and "{" in text:
        return Drop("curly_bracket")
    good = [line for line in lines_of(text) if is_good(line, settings)]
    if settings.min_sentences and sum(map(sentences, good)) < settings.min_sentences:
        return Drop("too_few_sentences")
    return record.with_columns({settings.column: "\n".join(good)}) if settings.rewrite else record


def is_good(line: str, settings: C4Settings) -> bool:
    """Whether the line breaks no rule."""
    if settings.terminal and (not line.endswith(TERMINAL) or line.endswith(("...", "…"))):
        return False
    if settings.max_word and max(map(len, line.split()), default=0) > settings.max_word:
        return False
    folded = line.casefold()
    if settings.javascript and "javascript" in folded:
        return False
    if settings.policies and any(phrase in folded for phrase in _POLICIES):
        return False
    return not settings.min_line_words or len(words(line)) >= settings.min_line_words


def sentences(line: str) -> int:
    """How many sentences end in the line; one at least, where there are words.

    >>> sentences("It rains. Does it? Yes"), sentences("下雨了。真的？"), sentences("a title"), sentences("--")
    (2, 2, 1, 0)
    """
    return len(_SENTENCE_END.findall(line)) or (1 if words(line) else 0)
