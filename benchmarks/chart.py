"""The chart: one panel a workload, a bar a client. Plain SVG that follows the reader's light or dark background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from benchmarks import measures as m
from benchmarks.measures import Measure
from benchmarks.results import Results, Spread, spread_of
from benchmarks.suite import CLIENTS

WIDTH, _COLUMNS, _PANEL, _LABEL, _BAR, _HEAD = 860, 2, 430, 104, 22, 44
_ROOM = _PANEL - _LABEL - 96  # what the longest bar takes; its figure stands behind it
_FIGURE = 40  # the width of a figure: one that the line of the ideal would cross stands behind it
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .about { fill: #57606a; font-size: 12px }
.bar { fill: #8c959f } .ours { fill: #1f6feb } .range { stroke: #24292f; stroke-width: 1.5 }
.ideal { stroke: #57606a; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .about { fill: #9da7b3 }
  .bar { fill: #6e7681 } .ours { fill: #58a6ff } .range { stroke: #e6edf3 } .ideal { stroke: #9da7b3 }
}
"""


class Panel(NamedTuple):
    """One measure of one workload; `ideal` is a line where there is one."""

    workload: str
    title: str
    about: str
    measure: Measure
    form: str
    ideal: float | None = None


PANELS = (
    Panel("W1", "W1 throughput", "records/s, longer is better", m.rate, "{:,.0f}"),
    Panel("W1", "W1 CPU", "ms a record, shorter is better", m.cpu_ms, "{:.2f}"),
    Panel("W2", "W2 heavy tail", "wall over ideal (dashed), shorter is better", m.wall_over_ideal, "{:.2f}", 1.0),
    Panel(
        "W3", "W3 untold limit", "share of the ceiling (dashed), longer is better", m.share_of_ceiling, "{:.2f}", 1.0
    ),
    Panel("W4", "W4 faults", "records lost or null of 2,000, shorter is better", m.lost, "{:.0f}"),
    Panel("W5", "W5 kill -9 at half", "calls paid twice, shorter is better", m.paid_again, "{:,.0f}"),
)


def draw(results: Results) -> str:
    """The SVG; panels without a measurement are left out."""
    drawn = [(panel, rows) for panel in PANELS if (rows := _rows(panel, results))]
    parts, top = [], 0
    for start in range(0, len(drawn), _COLUMNS):
        line = drawn[start : start + _COLUMNS]
        for column, (panel, rows) in enumerate(line):
            parts += [f'<g transform="translate({column * _PANEL} {top})">', *_panel(panel, rows), "</g>"]
        top += _HEAD + _BAR * max(len(rows) for _, rows in line) + 24
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}">'
    label = "<title>Benchmark results, medians and ranges; the figures are in the tables</title>"
    return "\n".join([head, label, f"<style>{_STYLE}</style>", *parts, "</svg>"]) + "\n"


def _rows(panel: Panel, results: Results) -> list[tuple[str, Spread]]:
    found = ((client, spread_of(results.of(panel.workload, client), panel.measure)) for client in CLIENTS)
    return [(client, reached) for client, reached in found if reached is not None]


def _panel(panel: Panel, rows: Sequence[tuple[str, Spread]]) -> Iterator[str]:
    longest = max([reached.high for _, reached in rows] + [panel.ideal or 0.0]) or 1.0
    yield f'<text class="title" x="8" y="16">{escape(panel.title)}</text>'
    yield f'<text class="about" x="8" y="32">{escape(panel.about)}</text>'
    line = _LABEL + (panel.ideal or 0.0) * _ROOM / longest
    for index, (client, reached) in enumerate(rows):
        yield from _bar(client, reached, _ROOM / longest, _HEAD + _BAR * index, panel.form, line)
    if panel.ideal is not None:
        yield f'<line class="ideal" x1="{line:.1f}" x2="{line:.1f}" y1="{_HEAD - 6}" y2="{_HEAD + _BAR * len(rows)}"/>'


def _bar(client: str, reached: Spread, scale: float, y: int, form: str, line: float) -> Iterator[str]:
    middle, kind = y + _BAR // 2 - 2, "bar ours" if client == "streamgen" else "bar"
    low, median, high = (_LABEL + value * scale for value in (reached.low, reached.median, reached.high))
    yield f'<text x="{_LABEL - 6}" y="{middle + 4}" text-anchor="end">{escape(client.replace("_", "-"))}</text>'
    width = max(median - _LABEL, 1)
    yield f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR - 5}" rx="2"/>'
    if high - low > 2:
        yield f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
    end = max(median, high)
    if end < line < end + _FIGURE:
        end = line
    yield f'<text x="{end + 6:.1f}" y="{middle + 4}">{escape(form.format(reached.median))}</text>'
