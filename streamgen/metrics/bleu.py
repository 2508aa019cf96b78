"""BLEU of each of some texts against all the others, as sacrebleu calculates it for a sentence."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import exp, log
from typing import NamedTuple, TypeAlias

MOST_N = 4

Gram: TypeAlias = tuple[str, ...]

_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}
_SYMBOLS = re.compile(r"[!-&(-+:-@\[-`{-~/]")  # ASCII punctuation but ' , - .
_AFTER_OTHER = re.compile(r"([^0-9])([.,])")
_BEFORE_OTHER = re.compile(r"([.,])([^0-9])")
_DASH = re.compile(r"([0-9])(-)")


def tokens(text: str) -> list[str]:
    """The tokens of a text as NIST's mteval-v13a tells them apart: the default of sacrebleu (Post 2018).

    >>> tokens("It's 3.5, or 4-5?")
    ["It's", '3.5', ',', 'or', '4', '-', '5', '?']
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES.items() if "&" in text else ():
        text = text.replace(entity, character)
    text = _SYMBOLS.sub(r" \g<0> ", f" {text} ")
    text = _BEFORE_OTHER.sub(r" \1 \2", _AFTER_OTHER.sub(r"\1 \2 ", text))
    return _DASH.sub(r"\1 \2 ", text).split()


class _Most(NamedTuple):
    """The greatest count of an n-gram in any text, in how many texts it is so great, and the next smaller one."""

    greatest: int
    texts: int
    next: int


def self_bleu(texts: Sequence[str]) -> list[float]:
    """For each text its BLEU (0 to 100) with all the others as references (Zhu et al. 2018, section 3).

    Equal to `sacrebleu.sentence_bleu(text, others)`: 4-grams, effective order, exponential smoothing, 13a tokens. Takes
    time that grows with the texts' length, not with the number of pairs.
    """
    split = [tokens(text) for text in texts]
    lengths = sorted(map(len, split))
    matched: list[list[int]] = [[] for _ in split]
    for n in range(1, MOST_N + 1):
        counts = [Counter(_ngrams(words, n)) for words in split]
        most = _greatest(counts)
        for place, own in enumerate(counts):
            matched[place].append(sum(min(count, _elsewhere(most[gram], count)) for gram, count in own.items()))
    return [_bleu(len(words), _closest(len(words), lengths), hits) for words, hits in zip(split, matched, strict=True)]


def _ngrams(words: Sequence[str], n: int) -> list[Gram]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def _greatest(counts: Sequence[Counter[Gram]]) -> dict[Gram, _Most]:
    most: dict[Gram, _Most] = {}
    for own in counts:
        for gram, count in own.items():
            known = most.get(gram)
            if known is None:
                most[gram] = _Most(count, 1, 0)
            elif count > known.greatest:
                most[gram] = _Most(count, 1, known.greatest)
            elif count == known.greatest:
                most[gram] = _Most(count, known.texts + 1, known.next)
            elif count > known.next:
                most[gram] = _Most(known.greatest, known.texts, count)
    return most


def _elsewhere(most: _Most, own: int) -> int:
    """The greatest count in any other text."""
    return most.next if own == most.greatest and most.texts == 1 else most.greatest


def _closest(length: int, lengths: Sequence[int]) -> int:
    """The length of another text that is closest to this one, the shorter of two; `lengths` are all, sorted."""
    place = bisect_left(lengths, length)  # of itself, or of one as long
    near = [lengths[other] for other in (place - 1, place + 1) if 0 <= other < len(lengths)]
    return min(near, key=lambda found: (abs(found - length), found), default=0)


def _bleu(length: int, reference: int, matched: Sequence[int]) -> float:
    """BLEU of one text from its matches by size; no smoothing where nothing matches at all."""
    if not any(matched):
        return 0.0
    smooth, total, sizes = 1.0, 0.0, 0
    for n, hits in enumerate(matched, 1):
        if (possible := length - n + 1) <= 0:
            break
        sizes = n
        smooth = smooth if hits else 2 * smooth
        total += log(100.0 * hits / possible) if hits else log(100.0 / (smooth * possible))
    brevity = 1.0 if length >= reference else exp(1 - reference / length)
    return brevity * exp(total / sizes)
