"""Keeps texts that do not repeat themselves: the rules of MassiveText (Rae et al. 2021, arXiv 2112.11446, table A1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Result
from streamgen.quality.lines import lines_of, paragraphs_of, repeated
from streamgen.quality.ngrams import Documents, hashed, in_groups, ngrams
from streamgen.record import Record
from streamgen.settings import Settings
from streamgen.text import text_of, words

Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Floats: TypeAlias = NDArray[np.float64]

_DOCUMENT = np.uint64(0xD6E8FEB86659FD93)  # odd: tells the n-grams of different texts of a batch apart


class GopherRepetitionSettings(Settings, frozen=True, kw_only=True):
    """The greatest shares that pass, by the paper's table; 1 turns a rule off, as does None.

    Lines and paragraphs that are repeats, by their number and by their characters; characters of the most frequent
    n-gram (`top_2` to `top_4`); characters in repeats of any n-gram (`repeated_5` to `repeated_10`), each once.
    """

    column: str
    lines: Share | None = 0.30
    paragraphs: Share | None = 0.30
    line_characters: Share | None = 0.20
    paragraph_characters: Share | None = 0.20
    top_2: Share | None = 0.20
    top_3: Share | None = 0.18
    top_4: Share | None = 0.16
    repeated_5: Share | None = 0.15
    repeated_6: Share | None = 0.14
    repeated_7: Share | None = 0.13
    repeated_8: Share | None = 0.12
    repeated_9: Share | None = 0.11
    repeated_10: Share | None = 0.10

    def reads(self) -> frozenset[str]:
        """The column."""
        return frozenset({self.column})


def gopher_repetition(records: Sequence[Record], context: StageContext[GopherRepetitionSettings]) -> Sequence[Result]:
    """Each record, or a drop with the first rule that it breaks, as `repeated_lines` or `top_2_gram`."""
    settings = context.settings
    texts = [text_of(record, settings.column, context.stage) for record in records]
    reasons = [_of_lines(text, settings) for text in texts]
    bounds = _most(settings)
    groups = [shares_of(group, bounds) for group in in_groups([words(text) for text in texts])]
    for reason, most in bounds.items():
        shares = [share for group in groups for share in group[reason]]
        reasons = [known or (reason if share > most else None) for known, share in zip(reasons, shares, strict=True)]
    return [Drop(reason) if reason else record for record, reason in zip(records, reasons, strict=True)]


def _of_lines(text: str, settings: GopherRepetitionSettings) -> str | None:
    for reason, parts, most, characters in (
        ("paragraphs", paragraphs_of(text), settings.paragraphs, settings.paragraph_characters),
        ("lines", lines_of(text), settings.lines, settings.line_characters),
    ):
        found = repeated(parts)
        if most is not None and found.parts > most:
            return f"repeated_{reason}"
        if characters is not None and found.characters > characters:
            return f"characters_of_repeated_{reason}"
    return None


def _most(settings: GopherRepetitionSettings) -> dict[str, float]:
    """The bounds of the n-gram rules, by the reason for a drop."""
    rules = [f"top_{n}" for n in range(2, 5)] + [f"repeated_{n}" for n in range(5, 11)]
    return {f"{rule}_gram": most for rule in rules if (most := getattr(settings, rule)) is not None}


def shares_of(documents: Sequence[Sequence[str]], rules: Mapping[str, object]) -> dict[str, list[float]]:
    """For each rule (`top_2_gram`, `repeated_5_gram`, ...) the share of each document's characters that it is about.

    An n-gram that comes once is no repetition. Characters are those of words, and each counts once.

    >>> shares_of([["a", "b", "a", "b"], ["c"]], {"top_2_gram": None})
    {'top_2_gram': [1.0, 0.0]}
    """
    if not documents:
        return {rule: [] for rule in rules}
    found = hashed(documents)
    of_word = np.repeat(np.arange(len(documents)), found.lengths)
    sizes = np.fromiter((len(word) for document in documents for word in document), np.float64, len(of_word))
    totals = np.maximum(np.bincount(of_word, sizes, len(documents)), 1.0)
    shares = {}
    for rule in rules:
        kind, n, _ = rule.split("_")
        is_covered = _covered(found, of_word, int(n), top=kind == "top")
        shares[rule] = (np.bincount(of_word, sizes * is_covered, len(documents)) / totals).tolist()
    return shares


def _covered(found: Documents, of_word: NDArray[np.int64], n: int, *, top: bool) -> NDArray[np.bool_]:
    """Which words stand in the most frequent n-gram of their document, or in a repeat of any."""
    counts = np.maximum(found.lengths - (n - 1), 0)
    hashes = ngrams(found, n).hashes
    document = np.repeat(np.arange(len(counts)), counts)
    first_words = np.cumsum(found.lengths) - found.lengths
    places = np.arange(len(hashes)) - np.repeat(np.cumsum(counts) - counts - first_words, counts)
    own = hashes + document.astype(np.uint64) * _DOCUMENT
    _, first, inverse, times = np.unique(own, return_index=True, return_inverse=True, return_counts=True)
    if top:
        most = np.zeros(len(counts), np.int64)
        np.maximum.at(most, document[first], times)
        # Of several that are as frequent, the first one.
        best = np.full(len(counts), len(hashes))
        is_top = (times > 1) & (times == most[document[first]])
        np.minimum.at(best, document[first][is_top], first[is_top])
        chosen = best[document] == first[inverse]
    else:
        chosen = first[inverse] != np.arange(len(hashes))
    edges = np.zeros(len(of_word) + 1, np.int64)
    edges[places[chosen]] += 1
    edges[places[chosen] + n] -= 1
    return np.asarray(np.cumsum(edges[:-1]) > 0)
