"""Pictures of what learning cost, and of the classes that each trial brought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeVar

import msgspec

from streamgen.report.plot import WIDTH, Label, Mark, Numbers, Plot, Scale, area, box
from streamgen.report.study import Study, grid, is_failed, levels
from streamgen.report.text import number, percent, usd
from streamgen.report.trials import TrialTook

HEIGHT = 180
MOST_CLASSES = 24
MOST_CELLS = 60  # in a row; more trials share cells
ROW = 20
SHADES = 7
OTHERS = "others"

N = TypeVar("N", int, float)


class Unit(NamedTuple):
    """What is counted, how much of it a trial took, and how that is written."""

    name: str
    of: Callable[[TrialTook], float]
    written: Callable[[float], str]


class Sums(msgspec.Struct):
    """What some trials took together."""

    trials: int = 0
    tickets: int = 0
    records: int | None = 0
    tokens: int | None = 0
    usd: float | None = 0.0

    def add(self, took: TrialTook) -> None:
        """Count one more trial; what is unknown of one is unknown of all."""
        self.trials += 1
        self.tickets += took.tickets
        self.records = _sum(self.records, took.records)
        self.tokens = _sum(self.tokens, took.tokens)
        self.usd = _sum(self.usd, took.usd)

    def row(self, name: str) -> list[str]:
        """The sums as texts."""
        money = "-" if self.usd is None else usd(self.usd)
        return [name, number(self.trials), number(self.tickets), number(self.records), number(self.tokens), money]


def cost_plot(study: Study) -> Plot | None:
    """What was spent, and how much of it on settings below the best known at the time."""
    took = [study.took(place) for place in range(len(study.facts.results))]
    unit = _unit(took)
    spent = [unit.of(each) for each in took]
    if not sum(spent):
        return None
    below = _below(study)
    lost = [amount if is_below else 0.0 for amount, is_below in zip(spent, below, strict=True)]
    x, y = study.x(), Scale(0.0, sum(spent) * 1.08, HEIGHT, 8)
    marks = [Mark(grid(y), "axis"), _cumulated(study, x, y, spent, "all"), _cumulated(study, x, y, lost, "lost")]
    return Plot(
        id="exploration",
        title="What exploring cost",
        about=f"{unit.name.capitalize()} spent so far, and the part of it that went into trials of settings that are "
        "believed to be worth less than the best known when they began, or that failed. Their accepted records are "
        "kept: it is their quality that was lower, not all of them that was lost.",
        text=f"{unit.written(sum(lost))} of {unit.written(sum(spent))} {unit.name} ({percent(sum(lost), sum(spent))}) "
        f"went into {sum(below)} trials below the best known.",
        height=HEIGHT,
        marks=marks,
        rows=[Label(place, unit.written(value)) for value, (place, _) in zip(y.ticks(), levels(y), strict=True)],
        columns=study.columns(),
        legend=[("all", f"all {unit.name}"), ("lost", "on settings below the best known")],
        numbers=Numbers(("trials", "how many", "tickets", "records", "tokens", "cost"), _cost_rows(study, took, below)),
        gutter=72,
    )


def _cumulated(study: Study, x: Scale, y: Scale, amounts: Sequence[float], kind: str) -> Mark:
    sums = list(accumulate(amounts))
    upper = [(0.0, y(0)), *((x(place), y(sums[place])) for place in study.shown), (WIDTH, y(sums[-1]))]
    return Mark(area(upper, [(0.0, y(0)), (WIDTH, y(0))]), kind)


def _unit(took: Sequence[TrialTook]) -> Unit:
    """Money where every price is known, else tokens, else tickets; trials that have not ended do not count."""
    ended = [each for each in took if each.records is not None]
    if any(each.usd for each in ended) and all(each.usd is not None for each in ended):
        return Unit("dollars", lambda each: each.usd or 0.0, usd)
    if any(each.tokens for each in took):
        return Unit("tokens", lambda each: float(each.tokens or 0), number)
    return Unit("tickets", lambda each: float(each.tickets), number)


def _below(study: Study) -> list[bool]:
    """Whether each trial failed, or its settings are believed to be worse than the best ones of those before it."""
    below, best = [], None
    for result, belief in zip(study.facts.results, study.believed, strict=True):
        level = belief.mean if belief else result.value
        below.append(is_failed(result) or (best is not None and level is not None and level < best))
        if result.value is not None and level is not None:
            best = level if best is None else max(best, level)
    return below


def _cost_rows(study: Study, took: Sequence[TrialTook], below: Sequence[bool]) -> list[list[str]]:
    groups: dict[str, Sums] = {}
    for result, each, is_below in zip(study.facts.results, took, below, strict=True):
        names = [
            result.trial.kind,
            *(["failed"] if is_failed(result) else []),
            *(["below the best known"] if is_below else []),
        ]
        for name in [*names, "all"]:
            groups.setdefault(name, Sums()).add(each)
    last = [name for name in ("failed", "below the best known", "all") if name in groups]
    return [groups[name].row(name) for name in [*(name for name in groups if name not in last), *last]]


def _sum(left: N | None, right: N | None) -> N | None:
    return None if left is None or right is None else left + right


class _Cells(NamedTuple):
    """Accepted records by class in consecutive groups of trials."""

    first: int
    last: int
    counts: Mapping[str, int]


def coverage_plot(study: Study) -> Plot | None:
    """Accepted records by class and trial."""
    if not any(study.facts.classes):
        return None
    totals: Counter[str] = sum((Counter(each) for each in study.facts.classes), Counter())
    names = [name for name, _ in totals.most_common(MOST_CLASSES)]
    cells = _cells(study, set(names))
    if len(totals) > len(names):
        names.append(OTHERS)
    highest = max(cell.counts.get(name, 0) for cell in cells for name in names) or 1
    x = Scale(0, len(cells), 0, WIDTH)
    marks = [
        Mark(box(x(column), ROW * row + 1, x(column + 1), ROW * row + ROW - 1),
             f"cell s{_shade(cell.counts.get(name, 0), highest)}",
             f"{name}, {_trials(cell)}: {cell.counts.get(name, 0)}")
        for row, name in enumerate(names) for column, cell in enumerate(cells)
    ]  # fmt: skip
    fewest = min(totals, key=lambda name: totals[name])
    return Plot(
        id="coverage",
        title="Classes over trials",
        about=f"Accepted records by {study.facts.column!r}, a column for each trial"
        + (" or group of neighbours" if len(cells) < len(study.facts.results) else "")
        + ": the further along the scale, the more. Grey is none: a class that these settings did not reach.",
        text=f"{len(totals)} classes; most records are of {names[0]} ({number(totals[names[0]])}), fewest of {fewest} "
        f"({number(totals[fewest])}).",
        height=ROW * len(names),
        marks=marks,
        rows=[Label(ROW * row + ROW / 2, name) for row, name in enumerate(names)],
        columns=[Label(0, _trials(cells[0])), *([Label(100, _trials(cells[-1]))] if len(cells) > 1 else [])],
        legend=[("shades", f"from none to {number(highest)} records")],
        numbers=Numbers(
            (study.facts.column or "class", "all", *map(_trials, cells)),
            [[name, number(sum(cell.counts.get(name, 0) for cell in cells)),
              *(number(cell.counts.get(name, 0)) for cell in cells)] for name in names],
        ),
        gutter=130,
    )  # fmt: skip


def _cells(study: Study, names: set[str]) -> list[_Cells]:
    size = -(-len(study.facts.results) // MOST_CELLS)
    cells = []
    for first in range(0, len(study.facts.classes), size):
        counts: Counter[str] = Counter()
        for each in study.facts.classes[first : first + size]:
            for name, count in each.items():
                counts[name if name in names else OTHERS] += count
        last = min(first + size, len(study.facts.classes)) - 1
        cells.append(_Cells(study.id(first), study.id(last), counts))
    return cells


def _trials(cell: _Cells) -> str:
    return f"trial {cell.first}" if cell.first == cell.last else f"trials {cell.first} to {cell.last}"


def _shade(count: int, highest: int) -> int:
    """0 is none."""
    return 0 if not count else max(1, round((SHADES - 1) * count / highest))
