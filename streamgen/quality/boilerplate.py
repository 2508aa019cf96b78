"""Drops what models say in the place of an answer, or around it: refusals, talk of themselves, echoes of the prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.lines import share
from streamgen.quality.phrases import phrases_of
from streamgen.record import Record
from streamgen.settings import FilePath, Settings
from streamgen.text import text_of, words

Rule: TypeAlias = Literal["refusal", "self_reference", "preamble", "placeholder", "echo"]

_CANNOT = r"(?:can(?:no|['’])t|can not|could not|am (?:not able|unable) to|won['’]t|will not)"
_HELP = r"(?:help|assist|comply|fulfil+|provide|answer|do that|continue|create|write|generate|support|engage|discuss)"
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "refusal": re.compile(
        rf"\bi(?:['’]m| am)? (?:(?:very |so |truly )?sorry|afraid),? (?:but |that )?(?:i|this|as|it)\b"
        rf"|\bi {_CANNOT} (?:\w+ )?{_HELP}\b|\bi (?:must|have to) (?:decline|refuse)\b"
        r"|\b(?:against|violates?) (?:my|our|the) (?:\w+ )?(?:guidelines|policy|policies|programming)\b"
        r"|\bi apologi[sz]e,? but\b",
        re.IGNORECASE,
    ),
    "self_reference": re.compile(
        r"\bas an? (?:\w+ )?(?:ai|artificial intelligence|(?:large )?language model|chatbot|virtual assistant)\b"
        r"|\bi(?:['’]m| am) (?:just |only )?an? (?:ai|(?:large )?language model|chatbot)\b"
        r"|\bmy (?:knowledge cut-?off|training data)\b|\bi was (?:trained|created|developed) by\b",
        re.IGNORECASE,
    ),
    "preamble": re.compile(
        r"\W*(?:(?:sure|certainly|absolutely|of course|okay|great(?: question)?|no problem)\b[ \t]*[,!.:]"
        r"|here(?:['’]s| is| are)\b[^\n]{0,80}:|(?:i['’]d be|i would be|i['’]m) (?:happy|glad) to\b)",
        re.IGNORECASE,
    ),
    "placeholder": re.compile(
        r"[\[<{](?:your|insert|enter|add|name of|company|date|link|url|recipient|sender)\b[^\]>}\n]{0,40}[\]>}]",
        re.IGNORECASE,
    ),
}
_GRAM = 5  # words in a row that no text has in common with its prompt by chance


class BoilerplateSettings(Settings, frozen=True, kw_only=True):
    """Which `rules` drop a text; all by default.

    Refusals and talk of the model itself count within the first `within` characters: a story may quote them later. A
    preamble counts at the very beginning. `echo` needs the column of the `prompt`: at most `max_echo` of the text's
    runs of five words may stand there too. `phrases` is a file of the user's own, one a line, which may stand nowhere.
    """

    column: str
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1)] = get_args(Rule)
    within: Annotated[int, Meta(ge=1)] = 300
    prompt: str | None = None
    max_echo: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    phrases: FilePath | None = None

    def check(self) -> None:
        """Raise RecipeError for a file of phrases that cannot be read."""
        if self.phrases is not None:
            phrases_of(self.phrases)

    def reads(self) -> frozenset[str]:
        """The column, and the prompt's."""
        return frozenset({self.column, self.prompt} - {None})  # type: ignore[arg-type]


def boilerplate(record: Record, context: StageContext[BoilerplateSettings]) -> Result:
    """The record, or a drop with the first rule that its text breaks; `phrase` for one of the user's phrases."""
    settings = context.settings
    text = text_of(record, settings.column, context.stage)
    for rule in settings.rules:
        if rule != "echo" and _SEARCHES[rule](text, settings.within):
            return Drop(rule)
    if settings.phrases is not None and any(phrases_of(settings.phrases).within(words(text))):
        return Drop("phrase")
    return Drop("echo") if _is_echo(record, text, context) else record


def _is_echo(record: Record, text: str, context: StageContext[BoilerplateSettings]) -> bool:
    settings = context.settings
    if settings.prompt is None or "echo" not in settings.rules:
        return False
    return echoed(text, text_of(record, settings.prompt, context.stage)) > settings.max_echo


def echoed(text: str, prompt: str) -> float:
    """The share of the text's runs of five words that its prompt has too; a shorter text is one run.

    >>> echoed("name three long rivers of Asia", "Please name three long rivers of Asia."), echoed("yes", "Name it")
    (1.0, 0.0)
    """
    own, known = _grams(words(text)), set(_grams(words(prompt)))
    return share(sum(gram in known for gram in own), len(own))


def _grams(found: list[str]) -> list[tuple[str, ...]]:
    return [tuple(found[i : i + _GRAM]) for i in range(max(1, len(found) - _GRAM + 1))] if found else []


def _at_beginning(rule: str) -> Callable[[str, int], bool]:
    return lambda text, within: _PATTERNS[rule].match(text.lstrip()[:within]) is not None


def _near_beginning(rule: str) -> Callable[[str, int], bool]:
    return lambda text, within: _PATTERNS[rule].search(text, 0, within) is not None


def _anywhere(rule: str) -> Callable[[str, int], bool]:
    return lambda text, _: _PATTERNS[rule].search(text) is not None


_SEARCHES: Mapping[str, Callable[[str, int], bool]] = {
    "refusal": _near_beginning("refusal"),
    "self_reference": _near_beginning("self_reference"),
    "preamble": _at_beginning("preamble"),
    "placeholder": _anywhere("placeholder"),
}
