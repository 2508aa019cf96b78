"""New texts a second that the filter `novelty` judges against a pool of 10,000, beside comparing with each of them.

The texts are instructions: seeded draws of 8 to 24 words, of which some are rewordings of others. The floor is
rapidfuzz on all pairs, in one call a batch. One core: both run in this thread alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

from benchmarks.documents import Documents
from streamgen.context import StageContext
from streamgen.quality.novelty import Novelty, NoveltySettings
from streamgen.record import Record
from streamgen.text import words

PER_S = 500
BATCH = 64  # the engine's own default
THRESHOLD = 0.7


def instructions(count: int, seed: int) -> list[str]:
    """Distinct texts; every tenth is a rewording of an earlier one, which may still be novel."""
    draw = Documents(seed)
    found: list[list[str]] = []
    while len(found) < count:
        is_reworded = len(found) > 100 and len(found) % 10 == 0
        length = draw.rng.randint(8, 24)
        found.append(draw.edited(draw.rng.choice(found), length // 4) if is_reworded else draw.document(length))
    return [" ".join(own) for own in found]


class Said(NamedTuple):
    """Whether each of the new texts is novel, the texts that were novel before them, and the seconds that it took."""

    novel: list[bool]
    pool: list[str]
    seconds: float


def filtered(texts: Sequence[str], pool: int, new: int) -> Said:
    """What the filter says of texts that come when its pool has so many."""
    settings = NoveltySettings(column="text", threshold=THRESHOLD)
    stage, context = Novelty(settings), StageContext("novelty", settings)
    records = iter([Record(str(n), {"text": text}) for n, text in enumerate(texts)])
    known: list[str] = []
    while len(known) < pool:
        known += [result["text"] for result in stage([next(records)], context) if isinstance(result, Record)]
    asked = list(islice(records, new))
    start = time.perf_counter()
    batches = [stage(asked[first : first + BATCH], context) for first in range(0, new, BATCH)]
    seconds = time.perf_counter() - start
    return Said([isinstance(result, Record) for batch in batches for result in batch], known, seconds)


def compared(texts: Sequence[str], said: Said) -> Said:
    """The same by comparing each new text with all novel ones before it."""
    codes: dict[str, int] = {}
    known, asked = ([_coded(text, codes) for text in some] for some in (said.pool, texts))
    novel: list[bool] = []
    start = time.perf_counter()
    for first in range(0, len(asked), BATCH):
        batch = asked[first : first + BATCH]
        greatest = _rouge(batch, known).max(axis=1)
        among = np.tril(_rouge(batch, batch), -1)
        is_new = np.zeros(len(batch), bool)
        for n in range(len(batch)):
            is_new[n] = greatest[n] < THRESHOLD and not (among[n, is_new] >= THRESHOLD).any()
        novel += is_new.tolist()
        known += [text for text, is_one in zip(batch, is_new, strict=True) if is_one]
    return Said(novel, said.pool, time.perf_counter() - start)


def _rouge(some: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
    lengths = np.add.outer([len(text) for text in some], [len(text) for text in others])
    return np.asarray(2 * cdist(some, others, scorer=LCSseq.similarity, dtype=np.int32) / lengths)


def _coded(text: str, codes: dict[str, int]) -> str:
    return "".join(chr(codes.setdefault(word, len(codes) + 1)) for word in words(text))


def report(pool: int, new: int, seed: int) -> str:
    """Measure both, and say whether they agree."""
    texts = instructions(int(1.5 * pool) + new, seed)
    said = filtered(texts, pool, new)
    first = texts.index(said.pool[-1]) + 1
    floor = compared(texts[first : first + new], said)
    rate, floor_rate = new / said.seconds, new / floor.seconds
    differing = sum(one != other for one, other in zip(said.novel, floor.novel, strict=True))
    verdict = "met" if rate >= PER_S else "MISSED"
    return (
        f"{new:,} new texts against a pool of {pool:,}: {rate:,.0f} a second (target >= {PER_S}: {verdict})\n"
        f"  compared with each of them (rapidfuzz cdist): {floor_rate:,.0f} a second; "
        f"the filter is {rate / floor_rate:.1f} times as fast\n"
        f"  {sum(said.novel):,} are novel; answers that differ: {differing}"
    )


def command(arguments: Sequence[str]) -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks novelty", description=__doc__)
    parser.add_argument("--pool", type=int, default=10_000)
    parser.add_argument("--new", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    print(report(given.pool, given.new, given.seed))
