"""What a person sees of a run: live progress, the summary at its end."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence

import anyio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamgen.control.agent import Trial
from streamgen.control.controller import ControllerSummary
from streamgen.engine.statistics import StageStatistics
from streamgen.inspection_view import costs_table, plain
from streamgen.report.text import cost, duration, forms
from streamgen.runs import Run
from streamgen.summary import RunStatistics, Summary

_FRAMES_S = 0.25  # between two pictures on a terminal
_LINES_S = 5.0  # between two log lines elsewhere
_PACE_S = 30.0  # the rate shown is that of the last half minute

_STYLES = {"done": "green", "running": "cyan", "failed": "red", "source_ended": "red"}


class Progress:
    """Follows a run: a live table on a terminal, a line now and then elsewhere."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._console = Console(stderr=True)
        self._seen: deque[tuple[float, int]] = deque()

    async def follow(self) -> None:
        """Show the run until cancelled."""
        self._pace(self._run.statistics())  # from here on it is measured
        if not self._console.is_terminal:
            await self._log()
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(self._picture(), refresh=True)
                await anyio.sleep(_FRAMES_S)

    async def _log(self) -> None:
        told: set[str] = set()
        while True:
            await anyio.sleep(_LINES_S)
            now = self._run.statistics()
            print(f"{now.name}: {_headline(now, self._pace(now))}", file=sys.stderr, flush=True)
            for warning in now.warnings:
                if warning not in told:
                    print(f"{now.name}: {plain(warning, 500)}", file=sys.stderr, flush=True)
            told = set(now.warnings)

    def _pace(self, now: RunStatistics) -> float:
        """Accepted records a second, lately."""
        self._seen.append((now.engine.elapsed_s, now.accepted))
        while self._seen[-1][0] - self._seen[0][0] > _PACE_S:
            self._seen.popleft()
        seconds = self._seen[-1][0] - self._seen[0][0]
        return (self._seen[-1][1] - self._seen[0][1]) / seconds if seconds else 0.0

    def _picture(self) -> RenderableType:
        now = self._run.statistics()
        head = Text(f"{now.name}  ", "bold").append(_headline(now, self._pace(now)), "default")
        parts: list[RenderableType] = [head]
        if now.wanted:
            parts.append(ProgressBar(total=now.wanted, completed=now.accepted, width=60))
        return Group(*parts, _live_stages(now), *_warnings(now))


def summary_view(summary: Summary) -> RenderableType:
    """What was kept, dropped and why, spent, learned, and where the files are."""
    end, now = summary.end, summary.statistics
    style = _STYLES.get(end.reason, "yellow")
    title = Text.assemble((f" {now.name} ", "bold"), (f" {end.reason.replace('_', ' ')} ", f"bold {style} reverse"))
    body: list[RenderableType] = [plain(end.message, style=style), Text(""), _funnel(now), Text(""), Text(_spent(now))]
    if len(now.spends) > 1:
        body += [Text(""), costs_table(now.spends), Text("")]
    body += [Text(line) for line in _structured(now)]
    body += _warnings(now)
    if now.failed:
        body.append(Text(f"{now.failed} dead letters: streamgen inspect {summary.directory} letters", "yellow"))
    if now.surplus:
        body.append(Text(f"{now.surplus} surplus records are kept for a larger --accept"))
    if summary.trials:
        body += _learned(summary.trials)
    if summary.directory:
        body += [Text(""), Text(f"files: {summary.directory}/ {', '.join(summary.files)}".rstrip())]
        body.append(Text(f"look:  streamgen report {summary.directory}", "dim"))
    return Panel(Group(*body), title=title, title_align="left", border_style=style, padding=(1, 2))


def _warnings(now: RunStatistics) -> list[Text]:
    return [plain(warning, 500, "yellow") for warning in now.warnings]


def _structured(now: RunStatistics) -> list[str]:
    """How structured answers came, where not all of them came as they should."""
    return [
        f"structured answers of {model}, {rung}: {forms(counts)}"
        for model, rungs in now.structured.items()
        if rungs.keys() != {"json_schema"} or rungs["json_schema"].keys() != {"as_is"}
        for rung, counts in rungs.items()
    ]


def _headline(now: RunStatistics, pace: float) -> str:
    wanted = f"/{now.wanted}" if now.wanted is not None else ""
    parts = [f"{now.accepted}{wanted} accepted", f"{pace:.1f}/s"]
    if now.wanted and pace:
        parts.append(f"about {duration((now.wanted - now.accepted) / pace)} left")
    parts.append(_spent(now))
    return ", ".join(parts)


def _spent(now: RunStatistics) -> str:
    spent = now.spent
    if not now.endpoints:
        return duration(60 * spent.minutes)
    cached = f", {now.cached:,} answers from the cache" if now.cached else ""
    return f"{spent.requests} calls, {spent.tokens:,} tokens, {_money(now)}, {duration(60 * spent.minutes)}{cached}"


def _money(now: RunStatistics) -> str:
    is_priced = any(endpoint.usage.cost_usd is not None for endpoint in now.endpoints) or now.spent.usd
    return cost(now.spent.usd if now.spent.requests or is_priced else None, now.spent.unpriced)


def _funnel(now: RunStatistics) -> Table:
    """Stages count this session's records, which differ from all that were accepted where a run went on."""
    first = "stage" if now.accepted == now.engine.accepted else "stage, this session"
    rows = Table(first, "in", "out", "dropped", "failed", box=None, header_style="dim", pad_edge=False)
    for stage in now.engine.stages:
        rows.add_row(stage.name, str(stage.received), str(stage.emitted), _counts(stage.dropped), _counts(stage.failed))
    rows.add_row(Text("accepted", "bold green"), "", Text(str(now.accepted), "bold green"), "", "")
    return rows


def _live_stages(now: RunStatistics) -> Table:
    rows = Table("stage", "in", "out", "waiting", "in flight", "busy", "p50", "dropped", box=None, header_style="dim")
    for stage in now.engine.stages:
        rows.add_row(*_live_cells(stage), style="bold" if stage.name == now.engine.bottleneck else "")
    return rows


def _live_cells(stage: StageStatistics) -> list[str]:
    numbers = (stage.received, stage.emitted, stage.waiting, stage.in_flight)
    p50 = "" if stage.latency_p50_s is None else duration(stage.latency_p50_s)
    return [stage.name, *map(str, numbers), f"{stage.busy:.0%}", p50, _counts(stage.dropped)]


def _learned(trials: ControllerSummary) -> list[RenderableType]:
    """The best trials and what is recommended, how that did when run again, and why others have no reward."""
    worth = [(result.value, result.trial) for result in trials.trials if result.value is not None]
    parts: list[RenderableType] = [Text(""), _trials(worth, trials.recommended)] if worth else []
    if again := [
        f"{result.value:.3f} (trial {result.trial.id})" for result in trials.again if result.value is not None
    ]:
        parts += [Text(""), Text(f"what was recommended, run again: {', '.join(again[-5:])}")]
    if trials.is_lost:
        said = f"nothing was learned: all {len(trials.failed)} rewards failed, and the recipe's own settings were used"
        parts += [Text(""), Text(said, "bold red"), plain(f"the last error: {_last_error(trials)}", 500, "red")]
    elif trials.failed:
        said = f"no reward for {len(trials.failed)} of {len(trials.trials)} trials; the last of them: "
        parts += [Text(""), plain(said + _last_error(trials), 500, "yellow")]
    return [*parts, *(plain(note, 500, "dim") for note in trials.notes)]


def _last_error(trials: ControllerSummary) -> str:
    reward = trials.failed[-1].reward
    return str(reward and reward.error)


def _trials(worth: Sequence[tuple[float, Trial]], recommended: Mapping[str, object] | None) -> Table:
    rows = Table("trial", "reward", "settings", box=None, header_style="dim", pad_edge=False)
    for value, trial in sorted(worth, key=lambda one: -one[0])[:3]:
        rows.add_row(str(trial.id), f"{value:.3f}", _settings(trial.settings))
    if recommended:
        rows.add_row("chosen", "", Text(_settings(recommended), "bold"))
    return rows


def _settings(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {_short(value)}" for name, value in settings.items())


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)[:60]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items(), key=lambda item: -item[1]))
