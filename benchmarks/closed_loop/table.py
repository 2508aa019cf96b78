"""The outcomes in Markdown: means over seeds with their intervals, and ours beside each other arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.closed_loop.results import Outcome, Results
from benchmarks.table import markdown
from benchmarks.tuning.summary import level

Figure = Callable[[Outcome], float | None]
COLUMNS: dict[str, Figure] = {
    "synthetic only": lambda each: each.test,
    "seeds alone": lambda each: each.seeds,
    "seeds + synthetic": lambda each: each.beside,
    "best batch (validation)": lambda each: each.best_batch,
    "chosen, run again (validation)": lambda each: each.validation,
}
COSTS: dict[str, Figure] = {
    "trials": lambda each: each.trials,
    "tokens": lambda each: each.tokens,
    "wall s": lambda each: each.wall_s,
    "CPU s": lambda each: each.cpu_s,
}


def document(results: Results, ours: str) -> str:
    """The accuracies, the differences seed by seed, and what each arm chose."""
    parts = [_accuracies(results), _differences(results, ours), _choices(results)]
    return "\n\n".join(part for part in parts if part)


def _accuracies(results: Results) -> str:
    rows = []
    for arm in results.arms:
        found = list(results.of(arm).values())
        rows.append(
            [arm, str(len(found)), *(_level(found, figure) for figure in COLUMNS.values())]
            + [_mean(found, figure) for figure in COSTS.values()]
        )
    return markdown(["arm", "seeds", *COLUMNS, *COSTS], rows)


def _level(outcomes: Sequence[Outcome], figure: Figure) -> str:
    values = [value for each in outcomes if (value := figure(each)) is not None]
    return "-" if not values else str(level(values)) if len(values) > 1 else f"{values[0]:.3f}"


def _mean(outcomes: Sequence[Outcome], figure: Figure) -> str:
    return f"{np.mean([figure(each) or 0.0 for each in outcomes]):,.0f}"


def _differences(results: Results, ours: str) -> str:
    """On the seeds that both have: the draw of seeds matters more than anything else."""
    mine, rows = results.of(ours), []
    for arm in results.arms:
        theirs = results.of(arm)
        pairs = [mine[seed].test - theirs[seed].test for seed in mine.keys() & theirs.keys()]
        if arm != ours and len(pairs) > 1:
            rows.append([f"{ours} - {arm}", str(len(pairs)), str(level(pairs))])
    return "**Synthetic only, seed by seed**\n\n" + markdown(["difference", "seeds", "mean"], rows) if rows else ""


def _choices(results: Results) -> str:
    rows = [
        [each.arm, str(each.seed), *(_shown(value) for value in each.settings.values()), f"{each.test:.3f}"]
        for each in results.outcomes
    ]
    names = [name.partition(".")[2] for name in results.outcomes[0].settings] if results.outcomes else []
    return "**Chosen**\n\n" + markdown(["arm", "seed", *names, "synthetic only"], rows)


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
