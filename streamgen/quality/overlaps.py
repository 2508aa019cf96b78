"""An index of test sets: which words of a text stand in a test, and in which one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamgen.errors import RecipeError
from streamgen.files import lines_of
from streamgen.quality.ngrams import Hashes, hashed, ngrams
from streamgen.record import Value
from streamgen.text import words

_decode = msgspec.json.Decoder(dict[str, Value]).decode
_JSON = (".jsonl", ".ndjson")
_KINDS = (*_JSON, ".txt", ".md", "")
_AT_ONCE = 4096  # tests that are hashed in one go


class Overlap(NamedTuple):
    """The longest run of a text's words that stands in a test, where that test is, and all words that do so."""

    start: int
    end: int
    source: str
    covered: int


class Case(NamedTuple):
    """One test: where it stands, and its words."""

    source: str
    words: list[str]


class _Grams(NamedTuple):
    hashes: Hashes  # sorted, each once
    tests: NDArray[np.int64]  # the first test that has it


class OverlapIndex:
    """The n-grams of all tests, 16 bytes each; a shorter test of at least `shortest` words is one gram of its own."""

    def __init__(self, tests: Sequence[Case], n: int, shortest: int) -> None:
        self._sources = [test.source for test in tests]
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for number, test in enumerate(tests):
            if len(test.words) >= shortest:
                groups[min(n, len(test.words))].append(number)
        self._by_length = {size: _grams(tests, members, size) for size, members in sorted(groups.items())}

    def __len__(self) -> int:
        return sum(len(grams.hashes) for grams in self._by_length.values())

    def overlaps(self, documents: Sequence[Sequence[str]]) -> list[Overlap | None]:
        """What each document, given as its words, has in common with the tests."""
        if not documents:
            return []
        found = hashed(documents)
        ends = np.cumsum(found.lengths)
        of_word = np.full(len(found.words), -1, np.int64)  # the test that a word's n-gram stands in
        for size, grams in self._by_length.items():
            places, tests = _matches(ngrams(found, size).hashes, grams, found.lengths, size)
            for shift in range(size):
                of_word[places + shift] = np.maximum(of_word[places + shift], tests)
        starts = (ends - found.lengths).tolist()
        return [self._longest(of_word[start:end]) for start, end in zip(starts, ends.tolist(), strict=True)]

    def _longest(self, of_word: NDArray[np.int64]) -> Overlap | None:
        is_covered = of_word >= 0
        if not is_covered.any():
            return None
        edges = np.flatnonzero(np.diff(np.concatenate([[False], is_covered, [False]]).astype(np.int8)))
        starts, ends = edges[::2], edges[1::2]
        longest = int(np.argmax(ends - starts))
        start, end = int(starts[longest]), int(ends[longest])
        return Overlap(start, end, self._sources[int(of_word[start])], int(is_covered.sum()))


def _grams(tests: Sequence[Case], members: Sequence[int], size: int) -> _Grams:
    hashes, owners = [], []
    for first in range(0, len(members), _AT_ONCE):
        some = members[first : first + _AT_ONCE]
        found = hashed([tests[number].words for number in some])
        hashes.append(ngrams(found, size).hashes)
        owners.append(np.repeat(np.array(some), np.maximum(found.lengths - size + 1, 0)))
    distinct, first_places = np.unique(np.concatenate(hashes), return_index=True)
    return _Grams(distinct, np.concatenate(owners)[first_places])


def _matches(
    hashes: Hashes, grams: _Grams, lengths: NDArray[np.int64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The words at which an n-gram of a test begins, and the tests."""
    counts = np.maximum(lengths - (size - 1), 0)
    shifts = np.cumsum(lengths) - lengths - (np.cumsum(counts) - counts)  # from a document's n-grams to its words
    at = np.minimum(np.searchsorted(grams.hashes, hashes), len(grams.hashes) - 1)
    is_known = grams.hashes[at] == hashes
    places = np.flatnonzero(is_known)
    return places + np.repeat(shifts, counts)[places], grams.tests[at[is_known]]


@lru_cache(maxsize=8)
def index_of(paths: tuple[str, ...], columns: tuple[str, ...], n: int, shortest: int) -> OverlapIndex:
    """The index of the tests in these files. Raises RecipeError, naming the line, for what is no test."""
    tests = [test for path in paths for test in _tests(path, columns)]
    if not any(len(test.words) >= shortest for test in tests):
        raise RecipeError(f"{', '.join(paths)}: no test has {shortest} words; nothing would ever be found")
    return OverlapIndex(tests, n, shortest)


def _tests(path: str, columns: tuple[str, ...]) -> Iterator[Case]:
    name = Path(path).name
    kind = Path(name.removesuffix(".gz").removesuffix(".zst")).suffix.lower()
    if kind not in _KINDS:
        raise RecipeError(f"{path} is neither JSON lines nor text: known are {', '.join(filter(None, _KINDS))}")
    is_json = kind in _JSON
    if is_json and not columns:
        raise RecipeError(f'{path} holds objects: name the columns to compare, as test_columns = ["question"]')
    for number, line in lines_of(Path(path)):
        for text in _texts(line, columns, f"{path}, line {number}") if is_json else [_plain(line, path, number)]:
            yield Case(f"{name}:{number}", words(text))


def _texts(line: bytes, columns: tuple[str, ...], where: str) -> Iterator[str]:
    try:
        row = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecipeError(f"{where} is no JSON object: {error}") from None
    if not any(column in row for column in columns):
        raise RecipeError(f"{where} has none of the columns {', '.join(columns)}; it has: {', '.join(sorted(row))}")
    for column in columns:
        yield from _strings(row.get(column))


def _strings(value: Value) -> Iterator[str]:
    """The texts in a value: choices and conversations stand in lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)


def _plain(line: bytes, path: str, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}, line {number} is no UTF-8 text: {error}") from None
