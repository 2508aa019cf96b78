"""Documents that look like real ones, from a seed: Zipfian words in sentences, with phrases that many of them share."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from random import Random

from streamgen.text import words

_ONSETS = (*"bcdfghlmnprstvw", "br", "ch", "gr", "pl", "st", "tr")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
_ENDS = ("", "n", "r", "s", "t", "l", "nd", "ck", "m")
_FUNCTION_WORDS = words("the of and to in a is that for it was on are as with be by at this from or have an not which")
_VOCABULARY = 20_000
_PHRASES = 2_000  # of 3 to 8 words, that come again in other documents
_PHRASE_SHARE = 0.05  # of all steps


class Documents:
    """Draws documents; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self._words = [*_FUNCTION_WORDS, *self._invented(_VOCABULARY - len(_FUNCTION_WORDS))]
        self._weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(self._words))))  # Zipf-Mandelbrot
        self._phrases = [self.draw(self.rng.randint(3, 8)) for _ in range(_PHRASES)]

    def draw(self, count: int) -> list[str]:
        """Words by their frequency."""
        total = self._weights[-1]
        return [self._words[bisect_left(self._weights, self.rng.random() * total)] for _ in range(count)]

    def document(self, length: int) -> list[str]:
        """About so many words, with punctuation and capitals."""
        found: list[str] = []
        while len(found) < length:
            found += self.rng.choice(self._phrases) if self.rng.random() < _PHRASE_SHARE else self.draw(1)
        return list(_punctuated(found, self.rng))

    def edited(self, document: Sequence[str], edits: int) -> list[str]:
        """The document after so many single words were replaced, put in, or taken out, at random places."""
        changed = list(document)
        for _ in range(edits):
            at = self.rng.randrange(len(changed))
            changed[at : at + self.rng.randint(0, 1)] = self.draw(self.rng.randint(0, 1))
        return changed

    def _invented(self, count: int) -> list[str]:
        found: dict[str, None] = {}
        while len(found) < count:
            syllables = range(self.rng.choice((1, 2, 2, 3, 3, 4)))
            found["".join(self.rng.choice(part) for _ in syllables for part in (_ONSETS, _VOWELS, _ENDS))] = None
        return list(found)


def _punctuated(found: Sequence[str], rng: Random) -> Iterator[str]:
    is_first = True
    for word in found:
        is_last = rng.random() < 1 / 15
        mark = "." if is_last else "," if rng.random() < 0.06 else ""
        yield (word.capitalize() if is_first else word) + mark
        is_first = is_last
