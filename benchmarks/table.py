"""`python -m benchmarks table`: the table, the targets and the chart in README.md, from the file of results."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import chart
from benchmarks import measures as m
from benchmarks.measures import Measure
from benchmarks.mock import ROOT
from benchmarks.results import RESULTS, Invocation, Results, Spread, read, spread_of
from benchmarks.runner import Measured
from benchmarks.suite import CLIENTS
from benchmarks.targets import Verdict, verdicts
from benchmarks.workloads import WORKLOADS

README, CHART = ROOT / "benchmarks" / "README.md", ROOT / "benchmarks" / "results.svg"
BEGIN, END = "<!-- results: written by `python -m benchmarks table` -->", "<!-- end of results -->"
NAMES = {
    "floor": "bare aiohttp + msgspec loop (the floor)", "streamgen": "**streamgen**", "openai": "openai SDK",
    "curator": "curator", "distilabel": "distilabel", "data_designer": "Data Designer",
}  # fmt: skip
_CELLS: dict[str, tuple[str, tuple[tuple[Measure, str], ...]]] = {
    "W1": ("records/s, CPU ms each, MB peak", ((m.rate, "{:,.0f}"), (m.cpu_ms, "{:.3g}"), (m.peak_mb, "{:.0f}"))),
    "W2": ("wall / ideal, first record", ((m.wall_over_ideal, "{:.3g}"), (m.first_record_s, "{:.2g} s"))),
    "W2hedged": ("wall / ideal, extra calls", ((m.wall_over_ideal, "{:.3g}"), (m.extra_calls, "{:.1%}"))),
    "W3": ("share of ceiling, 429, lost", ((m.share_of_ceiling, "{:.3f}"), (m.refused, "{:.0f}"), (m.lost, "{:.0f}"))),
    "W3told": (
        "share of ceiling, 429, lost", ((m.share_of_ceiling, "{:.3f}"), (m.refused, "{:.0f}"), (m.lost, "{:.0f}"))
    ),
    "W4": ("lost or null, wall", ((m.lost, "{:.0f}"), (m.wall, "{:.1f} s"))),
    "W5": ("paid twice, lost, restart", ((m.paid_again, "{:.0f}"), (m.lost, "{:.0f}"), (m.start_s, "{:.2f} s"))),
    "W5key": ("paid twice", ((m.paid_again, "{:.0f}"),)),
    "W6": ("MB peak, start to first request", ((m.peak_mb, "{:.0f}"), (m.start_s, "{:.2f} s"))),
    "W6large": ("MB peak", ((m.peak_mb, "{:.0f}"),)),
    "W7": ("share of best, p50 / unloaded", ((m.share_of_ceiling, "{:.3f}"), (m.latency_ratio, "{:.2f}"))),
    "W8": ("busiest and mean minute / limit", ((m.busiest_minute, "{:.3f}"), (m.mean_minute, "{:.3f}"))),
}  # fmt: skip


def document(results: Results) -> str:
    """The part of README.md between the markers."""
    parts = ["![Results of the newest runs](results.svg)", *tables(results), targets(results), method(results)]
    return "\n\n".join(part for part in parts if part)


def tables(results: Results) -> Iterator[str]:
    """Clients by workloads, a few workloads a table, so that it can be read without scrolling."""
    measured = [name for name in _CELLS if any(results.of(name, client) for client in CLIENTS)]
    for start in range(0, len(measured), 4):
        yield _table(measured[start : start + 4], results)


def _table(workloads: Sequence[str], results: Results) -> str:
    head = ["client", *(f"{name}: {_CELLS[name][0]}" for name in workloads)]
    rows = [[NAMES[client], *(cell(name, results.of(name, client)) for name in workloads)] for client in CLIENTS]
    return markdown(head, [row for row in rows if any(text != "-" for text in row[1:])])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(workload: str, runs: Sequence[Measured]) -> str:
    """The medians over the rounds; how the client ended where it made nothing; a dash where it did not run."""
    if not runs:
        return "-"
    if all(run.error and not run.records for run in runs):
        return "fails"
    texts = [_shown(spread_of(runs, measure), form.format) for measure, form in _CELLS[workload][1]]
    broken = " (fails)" if any(run.error for run in runs) else ""
    return ", ".join(texts) + broken


def _shown(spread: Spread | None, form: Callable[[float], str]) -> str:
    return "?" if spread is None else form(spread.median)


def targets(results: Results) -> str:
    """Every target that was measured, with its median and range."""
    found = [verdict for verdict in verdicts(results) if verdict.spread]
    head = ["", "streamgen", "median (range)", "target", ""]
    return markdown(head, [_judged(verdict) for verdict in found]) if found else ""


def _judged(verdict: Verdict) -> list[str]:
    target, reached = verdict.target, verdict.spread
    assert reached is not None
    relation = {"<=": "≤", ">=": "≥"}[target.relation]
    value = f"{reached.median:.4g} ({reached.low:.4g} to {reached.high:.4g})"
    word = "met" if verdict.is_met else "**missed**"
    return [target.workload, target.about, value, f"{relation} {target.bound:g}", word]


def method(results: Results) -> str:
    """What the workloads are, and on what they ran."""
    about = [f"- {name}: {WORKLOADS[name].about}" for name in WORKLOADS if results.of(name, "streamgen")]
    used = [i for i in results.invocations if any(results.invocation(r.workload, r.client) is i for r in i.runs)]
    return "\n".join([*about, "", *(_machine(invocation) for invocation in used)])


def _machine(invocation: Invocation) -> str:
    machine, versions = invocation.machine, _versions(invocation.runs)
    rounds = max((run.round for run in invocation.runs), default=0) + 1
    return (
        f"Measured {invocation.date}, {rounds} round{'s' if rounds > 1 else ''}: "
        f"{machine['cores']} cores of {machine['processor']}, "
        f"{machine['system']}, Python {machine['python']}; client and endpoint on a core each. The endpoint answers "
        f"{invocation.ceiling_per_s:,.0f} requests/s (asked by {invocation.ceiling_driver}). {versions}."
    )


def _versions(runs: Sequence[Measured]) -> str:
    known = {name: version for run in runs for name, version in run.versions.items()}
    return ", ".join(f"{name} {version}" for name, version in sorted(known.items()) if name != "python")


def put_between_markers(text: str, part: str) -> str:
    """The text with what stood between the markers replaced. Raises ValueError where they are missing."""
    start, end = text.find(BEGIN), text.find(END)
    if start < 0 or end < start:
        raise ValueError(f"README.md needs the lines {BEGIN} and {END}")
    return f"{text[: start + len(BEGIN)]}\n\n{part}\n\n{text[end:]}"


def command(arguments: Sequence[str]) -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks table", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="what `python -m benchmarks run` has written")
    parser.add_argument("--readme", type=Path, default=README, help="the page with the markers; the chart goes beside")
    given = parser.parse_args(arguments)
    results = Results(read(given.results))
    given.readme.write_text(put_between_markers(given.readme.read_text(), document(results)))
    given.readme.with_name(CHART.name).write_text(chart.draw(results))
    print(f"{given.readme} and {CHART.name} are written")
