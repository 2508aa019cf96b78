"""What the texts of each class have in common that those of the others lack, from a handful of seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from streamgen.generate._seeds import seeds_by_class
from streamgen.text import words

_PIECE = 4  # characters: parts of words are shared by their forms, of which few seeds show only some


class Profiles:
    """The mean TF-IDF vector of each class's texts, over words and their pieces."""

    def __init__(self, classes: Mapping[str, Sequence[str]]) -> None:
        texts = [frozenset(_features(text)) for own in classes.values() for text in own]
        counts = Counter(feature for features in texts for feature in features)
        self._weights = {feature: 1.0 + math.log(len(texts) / count) for feature, count in counts.items()}
        self._means = {label: self._mean(own) for label, own in classes.items()}

    def closeness(self, text: str, label: str) -> float | None:
        """The cosine to the class's own mean less the greatest to another's, -1 to 1; None for an unknown class."""
        if label not in self._means:
            return None
        vector = self._vector(text)
        cosines = {name: _dot(vector, mean) for name, mean in self._means.items()}
        return cosines.pop(label) - max(cosines.values(), default=0.0)

    def _mean(self, texts: Sequence[str]) -> dict[str, float]:
        total: Counter[str] = Counter()
        for text in texts:
            total.update(self._vector(text))
        return _normalised(total)

    def _vector(self, text: str) -> dict[str, float]:
        weights = self._weights
        return _normalised({name: weights[name] for name in set(_features(text)) if name in weights})


@lru_cache(maxsize=32)
def profiles_of(path: str, text: str, label: str) -> Profiles:
    """The profiles of a JSONL file's classes. Raises RecipeError, naming the line, for what is no seed."""
    return Profiles(seeds_by_class(path, text, label))


def _features(text: str) -> Iterator[str]:
    for word in words(text):
        yield word
        framed = f" {word} "
        yield from (framed[start : start + _PIECE] for start in range(len(framed) - _PIECE + 1))


def _normalised(vector: Mapping[str, float]) -> dict[str, float]:
    length = math.sqrt(sum(value * value for value in vector.values())) or 1.0
    return {name: value / length for name, value in vector.items()}


def _dot(vector: Mapping[str, float], mean: Mapping[str, float]) -> float:
    return sum(value * mean.get(name, 0.0) for name, value in vector.items())
