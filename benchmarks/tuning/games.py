"""Plays games in parallel processes; the peers' are kept, as long as the code that they depend on is the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.tuning.contenders import contender
from benchmarks.tuning.families import FAMILIES
from benchmarks.tuning.play import Game, play

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "streamgen-benchmarks" / "tuning"
SHARED = ("play.py", "peers.py", "world.py")


class Match(NamedTuple):
    """Who plays what."""

    contender: str
    family: str
    seed: int
    in_flight: int


def played(matches: Iterable[Match], processes: int, cache: Path = CACHE) -> Iterator[tuple[Match, Game]]:
    """All games, as they end. NumPy is held to one thread: the CPU is what the agent alone needs."""
    jobs = [(match, cache) for match in matches]
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_played, jobs, chunksize=2)


def matches(
    contenders: Sequence[str], families: Sequence[str], seeds: Sequence[int], in_flight: Sequence[int]
) -> list[Match]:
    """All of them against all, a family's seed after the other: what is known of a world is used again."""
    order = product(families, seeds, in_flight, contenders)
    return [Match(name, family, seed, out) for family, seed, out, name in order]


def _played(job: tuple[Match, Path]) -> tuple[Match, Game]:
    match, cache = job
    made = contender(match.contender)
    kept = cache / f"{match.contender}-{match.family}-{match.seed}-{match.in_flight}-{_code(match.family)}.json"
    if made.is_peer and kept.exists():
        return match, msgspec.json.decode(kept.read_bytes(), type=Game)
    game = play(made.make, FAMILIES[match.family](match.seed), match.seed, in_flight=match.in_flight)
    if made.is_peer:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.json.encode(game))
    return match, game


def _code(family: str) -> str:
    """A digest of the sources that a peer's game depends on."""
    module = Path(FAMILIES[family].__code__.co_filename)
    sources = [module, *(HERE / name for name in SHARED)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
