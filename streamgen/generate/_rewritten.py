"""Asks for a text in another form, and tells whether the answer is that text in another form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from streamgen.context import Context
from streamgen.generate._refusals import content_words, is_refusal
from streamgen.generate.calling import SamplingSettings, answered, sampling
from streamgen.llm.model import Message
from streamgen.quality.boilerplate import echoed
from streamgen.quality.language import detected
from streamgen.text import words

_PREAMBLE = re.compile(r"\A(?:sure|certainly|of course|okay|here(?:['’]s| is| are))\b[^\n]{0,150}:[^\S\n]*\n", re.I)
_LABEL = re.compile(r"\A\W{0,4}(?:new (?:text|version)|rewritten(?: text)?|translation|text|answer)\W{0,3}:\s*", re.I)
_LOOKED_AT = 20_000  # characters: what goes wrong shows before


class Rewritten(NamedTuple):
    """The new text, and why it must not be used, if there is a reason."""

    text: str
    fault: str | None = None


async def rewritten(context: Context[SamplingSettings], messages: Sequence[Message], text: str) -> Rewritten:
    """What the model makes of the text: the faults are empty, truncated, refusal, leaked_prompt and unchanged."""
    response = await answered(context.chat(context.settings.model, messages, **sampling(context)))
    new = bare(response.text)
    if response.finish_reason == "length":
        return Rewritten(new, "truncated")
    return Rewritten(new, _fault(new, text, messages[-1].content))


def bare(answer: str) -> str:
    """The text without a preamble, a label in front of it or quotes around it.

    >>> bare('Sure, here it is:\\n\\n"Play some jazz."'), bare("Translation: Guten Tag")
    ('Play some jazz.', 'Guten Tag')
    """
    text = _PREAMBLE.sub("", answer.strip(), count=1).strip()
    text = _LABEL.sub("", text, count=1).strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1] else text


def languages_fault(text: str, wanted: str, min_confidence: float) -> str | None:
    """`other_language`, or `unsure_language` where the detector is not sure of the right one; None where it is."""
    found = detected(text[:_LOOKED_AT])
    if found is None or found.code != wanted:
        return "other_language"
    return "unsure_language" if found.confidence < min_confidence else None


def _fault(new: str, text: str, prompt: str) -> str | None:
    after, before = new[:_LOOKED_AT], text[:_LOOKED_AT]
    found = words(after)
    if not found:
        return "empty"
    if is_refusal(after, len(found)) and not is_refusal(before, len(words(before))):
        return "refusal"
    if found == words(before):
        return "unchanged"
    own = " ".join(prompt.replace(text, " ").split())
    leaks = len(content_words(own)) >= 5 and echoed(own[:_LOOKED_AT], after) > 0.5
    return "leaked_prompt" if leaks else None
