"""Records a second of CPU through a group of filters: as they stand, in the learned and in the best order.

Half of the documents are broken, each in one of five ways, some in two. The members stand with the dearest first. The
best order is that of all which costs least by what each member takes and drops alone: the ceiling for what is learned.
One core.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import permutations

import msgspec

from benchmarks.documents import Documents
from streamgen.context import StageContext
from streamgen.engine.stage import Result
from streamgen.quality.filters import Filters, FiltersSettings
from streamgen.record import Record, Value

BATCH = 64  # the engine's own default
MEMBERS: tuple[Mapping[str, Value], ...] = (
    {"type": "gopher_repetition", "column": "text"},
    {"type": "boilerplate", "column": "text"},
    {"type": "gopher_quality", "column": "text"},
    {"type": "length", "column": "text", "min_words": 60},
    {"type": "fineweb", "column": "text", "rules": ["terminal", "repeated", "breaks"]},
)


def records(count: int, seed: int) -> list[Record]:
    """Documents of about 100 words, half of them broken."""
    draw = Documents(seed)
    texts = [f"{' '.join(draw.document(100)).rstrip(',.')}." for _ in range(count)]
    return [Record(str(n), {"text": _broken(text, draw) if n % 2 else text}) for n, text in enumerate(texts)]


def _broken(text: str, draw: Documents) -> str:
    for _ in range(draw.rng.choice((1, 1, 2))):
        match draw.rng.choice(("short", "short", "short", "refused", "looped", "symbols", "menu")):
            case "short":
                text = f"{' '.join(text.split()[:40])}."
            case "refused":
                text = f"I'm sorry, but I can't help with that. {text}"
            case "looped":
                text = f"{text} {text}"
            case "symbols":
                text = text.replace(" ", " # ")
            case "menu":
                text = text.replace(".", "").replace(" ", "\n")
    return text


def run(rows: Sequence[Record], members: Sequence[Mapping[str, Value]], order: str) -> tuple[list[bool], float, str]:
    """Which records pass, the seconds of CPU that it took, and the order in the end."""
    settings = msgspec.convert({"members": members, "order": order}, FiltersSettings)
    stage, context = Filters(settings), StageContext("filters", settings)
    results: list[Result] = []
    start = time.process_time()
    for first in range(0, len(rows), BATCH):
        results += stage(rows[first : first + BATCH], context)
    seconds = time.process_time() - start
    return [isinstance(result, Record) for result in results], seconds, ", ".join(stage.statistics())


def best_order(rows: Sequence[Record]) -> tuple[int, ...]:
    """The order that costs least, from what each member takes alone and what it drops."""
    alone = [run(rows, [member], "given") for member in MEMBERS]
    masks = Counter(tuple(kept) for kept in zip(*(passed for passed, _, _ in alone), strict=True))

    def cost(order: Sequence[int]) -> float:
        shown = [sum(n for kept, n in masks.items() if all(kept[m] for m in order[:k])) for k in range(len(order))]
        return sum(alone[member][1] * n for member, n in zip(order, shown, strict=True))

    return min(permutations(range(len(MEMBERS))), key=cost)


def report(count: int, seed: int) -> str:
    """Measure the orders, and whether they keep the same records."""
    rows = records(count, seed)
    best = [MEMBERS[member] for member in best_order(rows)]
    passed, given_s, _ = run(rows, MEMBERS, "given")
    also, auto_s, order = run(rows, MEMBERS, "auto")
    too, best_s, _ = run(rows, best, "given")
    differing = sum(len({*answers}) > 1 for answers in zip(passed, also, too, strict=True))
    return (
        f"{count:,} documents, {sum(passed):,} pass; records a second of CPU:\n"
        f"  as they stand, the dearest first: {count / given_s:,.0f}\n"
        f"  learned: {count / auto_s:,.0f} ({order})\n"
        f"  the best of all orders: {count / best_s:,.0f} ({', '.join(str(member['type']) for member in best)})\n"
        f"  records on which the orders differ: {differing}"
    )


def command(arguments: Sequence[str]) -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks filters", description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    print(report(given.documents, given.seed))
