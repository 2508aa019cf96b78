"""A tree of topics without duplicates, in which each ticket finds its leaf."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from streamgen.generate._refusals import content_words

Path: TypeAlias = tuple[str, ...]
"""A topic with all above it, without the root."""


class Spot(NamedTuple):
    """Where a ticket's way has come to, and what is left of its number to go on with."""

    path: Path
    rest: int


class TopicTree:
    """Topics below topics. A path that is not in `children` has not been asked for; one with none is a leaf."""

    def __init__(self, depth: int) -> None:
        self.children: dict[Path, tuple[str, ...]] = {}
        self._depth = depth
        self._words: list[frozenset[str]] = []  # of each topic, to find duplicates

    def __len__(self) -> int:
        return len(self._words)

    def walk(self, ticket: int) -> Spot:
        """As far as the tree is known: each child of a topic gets the same share of the tickets that come there."""
        path: Path = ()
        rest = ticket
        while topics := self.children.get(path):
            rest, turn = divmod(rest, len(topics))
            path = (*path, topics[turn])
        return Spot(path, rest)

    def is_leaf(self, path: Path) -> bool:
        """Whether nothing will grow below it."""
        return len(path) >= self._depth or path in self.children

    def grow(self, path: Path, topics: Iterable[str]) -> None:
        """Put topics below a path; there are none below a leaf."""
        self.children[path] = tuple(topics)
        self._words += [_stems(topic) for topic in self.children[path]]

    def novel(self, topics: Iterable[str], path: Path, same: float) -> list[str]:
        """The topics that are no duplicates: of each other, of what stands above them, or elsewhere in the tree.

        Two are the same where the Dice coefficient of their words, without endings, is at least `same`.
        """
        known = [*self._words, *(_stems(topic) for topic in path)]
        found: list[str] = []
        for topic in topics:
            own = _stems(topic)
            if own and not any(_dice(own, other) >= same for other in known):
                found.append(topic)
                known.append(own)
        return found


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other)) if one or other else 1.0


def _stems(topic: str) -> frozenset[str]:
    """The words without the endings of English plurals and participles, roughly."""
    return frozenset(_stem(word) for word in content_words(topic))


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word.removesuffix(ending).removesuffix("e")
    return word.removesuffix("y").removesuffix("e") if len(word) > 3 else word
