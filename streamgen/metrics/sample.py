"""A uniform sample of texts in bounded memory that is the same for any order, split and merging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

LONGEST = 20_000  # characters of one text that are kept

State: TypeAlias = list[tuple[int, str, str]]


class Drawn(NamedTuple):
    """A text of the sample by its key, with a label where there is one."""

    key: int
    text: str
    label: str = ""


class Sample:
    """The `most` texts with the smallest keys (bottom-k sampling, Cohen and Kaplan 2007), cut at 20,000 characters.

    With `most_characters` it ends at the text that reaches so many. Whatever is in the sample of all was in the sample
    of every part that it came by, as the bar only falls.
    """

    def __init__(self, most: int, most_characters: int | None = None) -> None:
        self._most, self._most_characters = most, most_characters
        self._drawn: list[Drawn] = []
        self._bar = 1 << 64
        self._sorted = 0  # how many of the first ones are in order, and all of the sample

    def update(self, keys: Sequence[int], texts: Sequence[str], labels: Sequence[str] | None = None) -> None:
        """Take in these texts, but for those without any word in them."""
        bar = self._bar
        below = [place for place, key in enumerate(keys) if key < bar and texts[place].strip()]
        self._take([Drawn(keys[n], _writable(texts[n]), _writable(labels[n]) if labels else "") for n in below])

    def merge(self, other: Sample) -> None:
        """Take in all that another one has seen."""
        self._take(other._drawn)

    def state(self) -> State:
        """All that it knows, for `load`."""
        return [(drawn.key, drawn.text, drawn.label) for drawn in self.drawn()]

    def load(self, state: State) -> None:
        """Know what another one knew."""
        self._take([Drawn(*drawn) for drawn in state])

    def drawn(self) -> list[Drawn]:
        """The sample, by key."""
        if self._sorted < len(self._drawn):
            self._settle()
        return self._drawn

    def texts(self) -> list[str]:
        """The texts of the sample, by key."""
        return [drawn.text for drawn in self.drawn()]

    def _take(self, drawn: Sequence[Drawn]) -> None:
        self._drawn.extend(drawn)
        if len(self._drawn) > 2 * self._sorted + 64:
            self._settle()

    def _settle(self) -> None:
        self._drawn.sort()
        end = min(self._most, self._reaching())
        if end < len(self._drawn) or end == self._most:
            del self._drawn[end:]
            self._bar = self._drawn[-1].key + 1  # equal ones may still come before it, by their text
        self._sorted = len(self._drawn)

    def _reaching(self) -> int:
        """How many of the first texts are enough for the characters."""
        left = self._most_characters
        if left is None:
            return len(self._drawn)
        for place, drawn in enumerate(self._drawn, 1):
            left -= len(drawn.text)
            if left <= 0:
                return place
        return len(self._drawn)


def _writable(text: str) -> str:
    """The beginning of the text, without halves of characters, which could not be written down."""
    return text[:LONGEST].encode("utf-8", "replace").decode()
