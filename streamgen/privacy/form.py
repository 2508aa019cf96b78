"""What a detector of personal data is: a quick look, a pattern, and a check of what the pattern matched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Form(NamedTuple):
    """A kind of data. What a group `value` matched is the data, and the rest its context.

    Every repetition in a pattern is bounded or cannot match what follows it: a text of n characters costs O(n).
    """

    needs: Callable[[str], bool]  # a quick look that saves most texts the pattern
    pattern: re.Pattern[str]
    is_real: Callable[[re.Match[str]], bool] = lambda match: True

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of each piece of data in the text."""
        if self.needs(text):
            for match in self.pattern.finditer(text):
                if self.is_real(match):
                    yield match.span("value" if "value" in self.pattern.groupindex and match["value"] else 0)


def matches(pattern: str) -> Callable[[str], bool]:
    """Whether a text holds this pattern; one that starts with a set of characters is found quickly."""
    search = re.compile(pattern).search
    return lambda text: search(text) is not None


def contains(*words: str) -> Callable[[str], bool]:
    """Whether a text in lower case holds one of the words."""

    def has_word(text: str) -> bool:
        folded = text.lower()
        return any(word in folded for word in words)

    return has_word


has_digit = matches(r"[0-9]")
