"""A user's list of words and phrases, and which of them a text holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from streamgen.errors import RecipeError
from streamgen.files import lines_of
from streamgen.text import words


class Phrases:
    """Words and phrases by their first word: what a text costs does not depend on how many there are."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_first: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        for phrase in phrases:
            if found := words(phrase):
                self._by_first[found[0]].add(tuple(found))

    def __len__(self) -> int:
        return sum(map(len, self._by_first.values()))

    def within(self, found: Sequence[str]) -> Iterator[str]:
        """Each place at which one of them begins among a text's words, as the phrase that stands there.

        >>> list(Phrases(["Lorem ipsum", "foo"]).within(words("Foo bar? Lorem: ipsum!")))
        ['foo', 'lorem ipsum']
        """
        by_first = self._by_first
        for place, word in enumerate(found):
            if word in by_first:
                yield from (
                    " ".join(phrase)
                    for phrase in by_first[word]
                    if len(phrase) == 1 or tuple(found[place : place + len(phrase)]) == phrase
                )


@lru_cache(maxsize=32)
def phrases_of(path: str) -> Phrases:
    """The phrases of a file, one a line. Raises RecipeError for a file that cannot be read, or holds none."""
    try:
        phrases = Phrases(line.decode() for _, line in lines_of(Path(path)))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} is no UTF-8 text: {error}") from None
    if not len(phrases):
        raise RecipeError(f"{path} holds no words; give one word or phrase a line")
    return phrases
