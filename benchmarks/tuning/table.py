"""The results in Markdown: regrets with their intervals, how often ours wins, and the issue's targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.table import markdown
from benchmarks.tuning.results import Results, Row
from benchmarks.tuning.summary import Level, difference, geometric, level, wins

Regret = Callable[[Row], float]
REGRETS: dict[str, Regret] = {
    "online regret, 30 batches": lambda row: row.online[30],
    "online regret, 10 batches": lambda row: row.online[10],
    "simple regret after 30": lambda row: row.simple[30],
    "simple regret after 10": lambda row: row.simple[10],
}


def document(results: Results) -> str:
    """All tables."""
    contenders, families = _unique(results, "contender"), _unique(results, "family")
    parts = [
        _table(f"{title}, {out} in flight" if out > 1 else title, regret, results, contenders, families, out)
        for out in sorted({row.in_flight for row in results.rows})
        for title, regret in REGRETS.items()
    ]
    apart = [_differences(title, regret, results, contenders) for title, regret in REGRETS.items() if "30" in title]
    return "\n\n".join([*parts, *apart, _cpu(results, contenders)])


def levels(results: Results, regret: Regret, contender: str, families: Sequence[str], out: int) -> dict[str, Level]:
    """A contender's mean and interval by family."""
    played = {family: results.of(contender, family, out) for family in families}
    return {family: level([regret(row) for row in rows]) for family, rows in played.items() if rows}


def beaten(results: Results, regret: Regret, ours: str, theirs: str, out: int) -> Iterator[tuple[str, Level, float]]:
    """By family: ours minus theirs on the same seeds, and the share of seeds that ours wins."""
    for family in _unique(results, "family"):
        pair = [[regret(row) for row in results.of(name, family, out)] for name in (ours, theirs)]
        if all(pair):
            yield family, difference(*pair), wins(*pair)


def _table(
    title: str, regret: Regret, results: Results, contenders: Sequence[str], families: Sequence[str], out: int
) -> str:
    rows = []
    for name in contenders:
        if of := levels(results, regret, name, families, out):
            means = {family: value.mean for family, value in of.items()}
            cells = [str(of[family]) if family in of else "-" for family in families]
            rows.append(
                [name, *cells, f"{geometric(means):.3f}", *_against_first(results, regret, contenders, name, out)]
            )
    return f"**{title}**\n\n" + markdown(["agent", *families, "geometric mean", f"{contenders[0]} wins"], rows)


def _against_first(results: Results, regret: Regret, contenders: Sequence[str], name: str, out: int) -> Iterator[str]:
    if name == contenders[0]:
        yield "-"
        return
    shares = [share for _, _, share in beaten(results, regret, contenders[0], name, out)]
    yield f"{np.mean(shares):.0%} of games" if shares else "-"


def _differences(title: str, regret: Regret, results: Results, contenders: Sequence[str]) -> str:
    """Below 0 the first contender is better; beyond the interval it is not by chance."""
    out, first = min(row.in_flight for row in results.rows), contenders[0]
    found = {name: list(beaten(results, regret, first, name, out)) for name in contenders[1:]}
    rows = [[name, *(str(apart) for _, apart, _ in each)] for name, each in found.items()]
    return f"**{title}: {first} less each other, on the same seeds**\n\n" + markdown(
        ["agent", *_unique(results, "family")], rows
    )


def _cpu(results: Results, contenders: Sequence[str]) -> str:
    spent = {name: [row.cpu_ms for row in results.rows if row.contender == name] for name in contenders}
    return "**CPU**\n\n" + markdown(
        ["agent", "ms a suggestion"], [[name, f"{np.mean(values):.1f}"] for name, values in spent.items()]
    )


def _unique(results: Results, field: str) -> list[str]:
    """In the order of the first appearance."""
    return list(dict.fromkeys(getattr(row, field) for row in results.rows))
