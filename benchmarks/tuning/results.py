"""What the benchmark keeps: every game's regrets, so that other figures can be had from them later."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks.tuning.games import Match
from benchmarks.tuning.play import Game

RESULTS = Path(__file__).with_name("results.json")


class Row(msgspec.Struct, frozen=True):
    """One game, rounded: the mean online regret after, and the simple regret at, some numbers of batches."""

    contender: str
    family: str
    seed: int
    in_flight: int
    online: dict[int, float]
    simple: dict[int, float]
    cpu_ms: float


class Results(msgspec.Struct, frozen=True):
    """All games, and what they were played on."""

    date: str
    machine: dict[str, str | int]
    versions: dict[str, str]
    rows: list[Row]

    def of(self, contender: str, family: str, in_flight: int = 1) -> list[Row]:
        """A contender's games of a family, by seed."""
        mine = (
            row for row in self.rows if (row.contender, row.family, row.in_flight) == (contender, family, in_flight)
        )
        return sorted(mine, key=lambda row: row.seed)


def rows(games: Iterable[tuple[Match, Game]]) -> list[Row]:
    """The games as rows."""
    return [_row(match, game) for match, game in games]


def _row(match: Match, game: Game) -> Row:
    return Row(
        *match,
        online={batches: round(game.online_at(batches), 4) for batches in game.simple},
        simple={batches: round(value, 4) for batches, value in game.simple.items()},
        cpu_ms=round(game.cpu_ms, 2),
    )


def write(path: Path, results: Results) -> None:
    """Keep them as JSON, a line a game."""
    head = msgspec.json.encode(msgspec.structs.replace(results, rows=[]))
    lines = b",\n".join(msgspec.json.encode(row) for row in results.rows)
    path.write_bytes(head.removesuffix(b"]}") + b"\n" + lines + b"\n]}\n")


def read(path: Path) -> Results:
    """What `write` has kept."""
    return msgspec.json.decode(path.read_bytes(), type=Results)
