"""Texts with the slips of people who type in a hurry, without a model.

Characters are swapped, left out, doubled or hit beside the key (Belinkov and Bisk 2018, arXiv 1711.02173);
words are swapped, left out or repeated (Wei and Zou 2019, arXiv 1901.11196, without its synonyms).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate.calling import Share
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of

CharacterSlip: TypeAlias = Literal["swap", "omit", "double", "neighbour"]
WordSlip: TypeAlias = Literal["swap", "omit", "repeat"]

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_TOKENS = re.compile(r"(\s+)")


class NoiseSettings(Settings, frozen=True, kw_only=True):
    """Of the letters of `column`, about the share `characters` is hit by one of `character_slips`; of its words, about
    the share `words` by one of `word_slips`. The first letter of a word stays, and digits do.

    `n` texts are made of each; with `keep_original` the record itself goes on too. A text in which nothing was hit is
    tried `tries` times in all, and dropped as `unchanged` after that.
    """

    column: str = "text"
    characters: Share = 0.03
    words: Share = 0.0
    character_slips: Annotated[tuple[CharacterSlip, ...], Meta(min_length=1)] = get_args(CharacterSlip)
    word_slips: Annotated[tuple[WordSlip, ...], Meta(min_length=1)] = get_args(WordSlip)
    n: Annotated[int, Meta(ge=1, le=50)] = 1
    tries: Annotated[int, Meta(ge=1, le=100)] = 5
    keep_original: bool = False
    max_characters: Annotated[int, Meta(ge=1, le=5_000_000)] = 100_000

    def check(self) -> None:
        """Raise ValueError where nothing would be hit."""
        if self.characters == self.words == 0:
            raise ValueError("characters: with `words` it is 0, so nothing would change; set one of them above it")

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


def noise(record: Record, context: Context[NoiseSettings]) -> Result:
    """The record with slips in its text, or `n` of them; a drop as `empty`, `too_long` or `unchanged`."""
    settings = context.settings
    text = text_of(record, settings.column, context.stage)
    if not text.strip() or len(text) > settings.max_characters:
        return Drop("too_long" if text.strip() else "empty")
    texts = [_noisy(text, settings, context.rng) for _ in range(settings.n)]
    made = [record] if settings.keep_original else []
    made += [record.with_columns({settings.column: new}) for new in dict.fromkeys(texts) if new != text]
    if not made:
        return Drop("unchanged")
    return made[0] if len(made) == 1 else made


def _noisy(text: str, settings: NoiseSettings, rng: Random) -> str:
    """The text with slips; as it is, where none of the tries hit anything."""
    for _ in range(settings.tries):
        parts = _slipped_words(_TOKENS.split(text), settings, rng)
        new = "".join([_slipped(part, settings, rng) for part in parts])
        if new != text and new.strip():
            return new
    return text


def _slipped_words(parts: list[str], settings: NoiseSettings, rng: Random) -> list[str]:
    """Words stand at even places, the white space between them at odd ones."""
    if not settings.words:
        return parts
    for at in range(0, len(parts), 2):
        if parts[at] and rng.random() < settings.words:
            _WORD_SLIPS[rng.choice(settings.word_slips)](parts, at)
    return parts


def _swap_words(parts: list[str], at: int) -> None:
    if at + 2 < len(parts) and parts[at + 2]:
        parts[at], parts[at + 2] = parts[at + 2], parts[at]


def _omit_word(parts: list[str], at: int) -> None:
    """The white space before it goes too."""
    parts[at] = ""
    if at:
        parts[at - 1] = ""


def _repeat_word(parts: list[str], at: int) -> None:
    parts[at] = f"{parts[at]} {parts[at]}"


_WORD_SLIPS: Mapping[WordSlip, Callable[[list[str], int], None]] = {
    "swap": _swap_words,
    "omit": _omit_word,
    "repeat": _repeat_word,
}


def _slipped(word: str, settings: NoiseSettings, rng: Random) -> str:
    if not settings.characters:
        return word
    letters = list(word)
    for at in range(1, len(letters)):
        if letters[at].isalpha() and rng.random() < settings.characters:
            _hit(letters, at, rng.choice(settings.character_slips), rng)
    return "".join(letters)


def _hit(letters: list[str], at: int, slip: CharacterSlip, rng: Random) -> None:
    if slip == "omit":
        letters[at] = ""
    elif slip == "double":
        letters[at] *= 2
    elif slip == "neighbour":
        letters[at] = _beside(letters[at], rng)
    elif at + 1 < len(letters) and letters[at + 1].isalpha():
        letters[at], letters[at + 1] = letters[at + 1], letters[at]


def _beside(letter: str, rng: Random) -> str:
    """A letter whose key is beside that one's; the letter itself where it has no key on a Latin keyboard."""
    keys = _NEIGHBOURS.get(letter.lower())
    if keys is None:
        return letter
    hit = rng.choice(keys)
    return hit.upper() if letter.isupper() else hit


def _neighbours() -> dict[str, str]:
    """The keys before and behind each, and those of the next rows that touch it."""
    places = {key: (row, at) for row, keys in enumerate(_ROWS) for at, key in enumerate(keys)}
    return {key: "".join(other for other in places if _touch(places[key], places[other])) for key in places}


def _touch(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Each row stands about half a key to the right of the one above it."""
    if one[0] == other[0]:
        return abs(one[1] - other[1]) == 1
    upper, lower = sorted((one, other))
    return lower[0] - upper[0] == 1 and lower[1] in (upper[1] - 1, upper[1])


_NEIGHBOURS: Mapping[str, str] = _neighbours()
