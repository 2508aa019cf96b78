"""Near-duplicates that the filter finds among planted ones, how sure it is, how fast it works, and what a resume does.

A tenth of the documents are edited copies of earlier ones. Their Jaccard similarity is computed on the sets of word
trigrams themselves, not on hashes. One core: the filter runs in this thread alone.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from benchmarks.documents import Documents
from streamgen.context import StageContext
from streamgen.engine.stage import Memory, Result
from streamgen.quality.near_duplicate import NearDuplicate, NearDuplicateSettings
from streamgen.record import Record
from streamgen.text import words

BATCH = 64  # the engine's own default
SHINGLE = 3
RECALL, AT, PRECISION, SURELY, PER_S = 0.98, 0.8, 0.97, 0.7, 5_000

Shingles: TypeAlias = frozenset[tuple[str, ...]]


class Corpus(NamedTuple):
    """Texts in order; `similarity` of those that are planted to the text that they were made from, by position."""

    texts: list[str]
    similarity: dict[int, float]


class Found(NamedTuple):
    """What the filter said of each text."""

    results: list[Result]
    kept: list[tuple[str, bytes]]
    seconds: float
    cpu_s: float


def corpus(documents: int, share: float, length: int, seed: int) -> Corpus:
    """`share` of the documents are copies with 0 to 15 edits, each of another original, somewhere behind it."""
    draw = Documents(seed)
    originals = [draw.document(draw.rng.randint(int(length * 0.7), int(length * 1.3))) for _ in range(documents)]
    copies = int(documents * share)
    copied = draw.rng.sample(range(documents - copies), copies)
    planted = [(draw.rng.uniform(at, documents), draw.edited(originals[at], draw.rng.randint(0, 15)), at)
               for at in copied]  # fmt: skip
    places = [(float(at), words_, -1) for at, words_ in enumerate(originals[: documents - copies])]
    ordered = sorted([*places, *planted], key=lambda place: (place[0], place[2]))
    similarity = {
        n: jaccard(shingles(" ".join(text)), shingles(" ".join(originals[at])))
        for n, (_, text, at) in enumerate(ordered) if at >= 0
    }  # fmt: skip
    return Corpus([" ".join(text) for _, text, _ in ordered], similarity)


def shingles(text: str) -> Shingles:
    """The text's word trigrams."""
    found = words(text)
    return frozenset(tuple(found[i : i + SHINGLE]) for i in range(max(1, len(found) - SHINGLE + 1)))


def jaccard(one: Shingles, other: Shingles) -> float:
    """The share of what both have in what any of them has."""
    return len(one & other) / len(one | other)


def filtered(records: Sequence[Record], settings: NearDuplicateSettings, known: Sequence[Memory] = ()) -> Found:
    """Run the filter over the records, in batches, after it was shown what it knew."""
    stage, context = NearDuplicate(settings), StageContext("near", settings)
    kept: list[tuple[str, bytes]] = []
    stage.keep = lambda id_, body: kept.append((id_, body))
    stage.recall(known)
    results: list[Result] = []
    start, cpu_start = time.perf_counter(), time.process_time()
    for first in range(0, len(records), BATCH):
        results += stage(records[first : first + BATCH], context)
    return Found(results, kept, time.perf_counter() - start, time.process_time() - cpu_start)


def nearest(texts: Sequence[str], asked: Sequence[int]) -> dict[int, float]:
    """The exact similarity of some texts to the nearest one before each, by an index of all shingles."""
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    sets = [shingles(text) for text in texts]
    for n, own in enumerate(sets):
        for shingle in own:
            holders[shingle].append(n)
    near = {n: {other for shingle in sets[n] for other in holders[shingle] if other < n} for n in asked}
    return {n: max((jaccard(sets[n], sets[other]) for other in near[n]), default=0.0) for n in asked}


def report(options: argparse.Namespace) -> str:
    """Measure, and say what was met."""
    settings = NearDuplicateSettings(column="text", shingle=SHINGLE, threshold=options.threshold)
    made = corpus(options.documents, options.share, options.words, options.seed)
    records = [Record(str(n), {"text": text}) for n, text in enumerate(made.texts)]
    before_mb = _peak_mb()
    found = filtered(records, settings)
    used_mb = _peak_mb() - before_mb
    dropped = {n for n, result in enumerate(found.results) if not isinstance(result, Record)}
    wanted = {n for n, similarity in made.similarity.items() if similarity >= max(AT, options.threshold)}
    similarity = nearest(made.texts, sorted(dropped))
    right = sum(similarity[n] >= SURELY for n in dropped)
    recall, precision = len(wanted & dropped) / len(wanted), right / max(1, len(dropped))
    per_s = len(records) / found.seconds
    lines = [
        f"{len(records):,} documents of about {options.words} words, {len(made.similarity):,} of them planted copies, "
        f"threshold {options.threshold}",
        _line(f"recall of the {len(wanted):,} copies with J >= {AT}", recall, RECALL),
        _line(f"precision: {len(dropped):,} dropped, J >= {SURELY} to an earlier one", precision, PRECISION),
        _line("documents a second", per_s, PER_S),
        f"  documents a second of CPU: {len(records) / found.cpu_s:,.0f}",
        f"  memory: {used_mb:,.0f} MB more at the peak",
        f"  after a resume in the middle: {_resumed(records, settings, found)}",
    ]
    return "\n".join(lines)


def _resumed(records: Sequence[Record], settings: NearDuplicateSettings, whole: Found) -> str:
    half = len(records) // 2 // BATCH * BATCH
    known = [Memory(body) for id_, body in whole.kept if int(id_) < half]
    again = filtered(records[half:], settings, known)
    differing = sum(one != other for one, other in zip(again.results, whole.results[half:], strict=True))
    return "every answer is the same" if not differing else f"{differing} answers DIFFER"


def _line(what: str, value: float, least: float) -> str:
    return f"  {what}: {value:,.4g} (target >= {least:,}: {'met' if value >= least else 'MISSED'})"


def _peak_mb() -> float:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def command(arguments: Sequence[str]) -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks duplicates", description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=100, help="words a document, about")
    parser.add_argument("--share", type=float, default=0.1, help="of the documents that are copies")
    parser.add_argument("--threshold", type=float, default=0.8, help="the filter's")
    parser.add_argument("--seed", type=int, default=1)
    print(report(parser.parse_args(arguments)))
