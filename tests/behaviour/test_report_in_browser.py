"""The report of a run with every metric in a browser: light and dark, at two widths, with nothing loaded."""

from __future__ import annotations

import html
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from runs import CHAT, echo, make

from streamgen import registry
from streamgen.context import Context
from streamgen.opening import open_run
from streamgen.recipe import StageSpec
from streamgen.record import Record, Value
from streamgen.report import write_report
from streamgen.settings import Settings
from streamgen.virtual_time import run_virtual

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECTIONS = ["funnel", "time", "spend", "metrics", "samples", "card", "recipe"]
OVER_TIME = ["kept-over-time", "speed", "spent-over-time"]
PICTURES = [
    "counts: by: label", "lengths: words", "lengths: characters", "distinct_n", "class_balance",
    "class_balance: counts",
    "duplicates", "self_repetition", "diversity", "readability: flesch_reading_ease",
    "readability: flesch_kincaid_grade", "readability: automated_readability_index", "fluency: perplexity_of_each",
    "topics", "topics over time", "similarity", "similarity: nearest", "constraints: tone: counts",
    "scores: new", "tstr", "tstr: error",
]  # fmt: skip

# The page in a frame; what a browser makes of it is told in JSON.
MEASURE = """<!DOCTYPE html><meta charset="utf-8"><body>FRAME<script>
function shows(svg, view) {
  const box = svg.getBoundingClientRect();
  return box.width > 90 && box.height >= 24 && [...svg.querySelectorAll("path:not(.axis)")].some(e => {
    const mark = e.getBoundingClientRect();
    return mark.width + mark.height > 8;
  });
}
onload = () => {
  const view = document.querySelector("iframe").contentWindow, page = view.document;
  const found = {
    background: view.getComputedStyle(page.body).backgroundColor,
    sections: [...page.querySelectorAll("section[id]")].map(e => e.id),
    figures: [...page.querySelectorAll(".figure")].map(e => e.id),
    metrics: [...page.querySelectorAll("table.metric caption")].map(e => e.textContent),
    pictures: [...page.querySelectorAll(".pairs .figure h3")].map(e => e.textContent),
    bare: [...page.querySelectorAll("svg")].filter(e => !shows(e, view)).map(e => e.getAttribute("aria-labelledby")),
    unseen: [...page.querySelectorAll("svg path")].filter(e => view.getComputedStyle(e).fill === "none"
      && view.getComputedStyle(e).stroke === "none").map(e => e.getAttribute("class")),
    untold: [...page.querySelectorAll("svg")].filter(e => !e.querySelector("desc").textContent.trim()).length,
    loaded: view.performance.getEntriesByType("resource").map(e => e.name),
    scrolls: page.documentElement.scrollWidth - view.innerWidth,
  };
  document.body.innerHTML = "<pre>" + JSON.stringify(found).replace(/</g, "") + "</pre>";
};
</script></body>"""


class Seen(msgspec.Struct):
    background: str
    sections: list[str]
    figures: list[str]
    metrics: list[str]
    pictures: list[str]
    bare: list[str]
    unseen: list[str]
    untold: int
    loaded: list[str]
    scrolls: float


def metrics(real: Path) -> list[Value]:
    """Every metric, with what it needs."""
    given = {"column": "text", "reference": str(real), "test": str(real), "warm_up": 20, "by": ["label"]}
    found = []
    for name in registry.BUILTIN["metrics"]:
        struct = registry.settings_type(registry.find("metrics", name))
        own = {key: given[key] for key in (struct.__struct_fields__ if struct else ()) if key in given}
        found.append({"type": name, **own, **({"column": "label"} if name == "class_balance" else {})})
    return found


async def toned(record: Record, context: Context[Settings]) -> Record:
    """A verdict of two words."""
    return record.with_meta(verdicts={"tone": "pass" if "rain" in record["text"] else "fail"})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of a minute of virtual time."""
    folder = tmp_path_factory.mktemp("run")
    rows = [
        {"n": f"Will it {'rain' if n % 2 else 'snow'} in the town of number {n % 11} today?", "label": "xy"[n % 2]}
        for n in range(60)
    ]
    real = folder / "real.jsonl"
    real.write_bytes(b"\n".join(msgspec.json.encode({"text": row["n"], "label": row["label"]}) for row in rows[:12]))
    recipe = make(
        echo(latency_s=1.0),
        stages=[CHAT, {"name": "new", "type": "novelty", "column": "text", "threshold": 1.0, "scored": True}],
        after=[StageSpec(name="tone", type=toned)],
        metrics=metrics(real), source={"type": "list", "rows": rows},
        run={"tickets_in_flight": 1}, card={"license": "CC0-1.0"},
    )  # fmt: skip

    async def session() -> None:
        async with open_run(recipe, directory=folder / "run") as run:
            await run.finish()

    run_virtual(session)
    return write_report(folder / "run")


def browsed(target: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1200,1000", "--virtual-time-budget=5000",
        "--enable-logging=stderr", *more, "--dump-dom", target.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
@pytest.mark.parametrize("width", [400, 1100])
@pytest.mark.parametrize(
    ("scheme", "background"), [(0, "rgb(13, 17, 23)"), (1, "rgb(246, 247, 249)")], ids=["dark", "light"]
)
def test_every_section_metric_and_picture_is_there_and_nothing_is_loaded(
    page: Path, tmp_path: Path, scheme: int, background: str, width: int
) -> None:
    document = html.escape(page.read_text().replace("Content-Security-Policy", "x-policy"), quote=True)
    frame = f'<iframe width="{width}" height="900" style="border:0" srcdoc="{document}"></iframe>'
    (tmp_path / "measure.html").write_text(MEASURE.replace("FRAME", frame))
    ended = browsed(tmp_path / "measure.html", tmp_path, f"--blink-settings=preferredColorScheme={scheme}")
    told = html.unescape(ended.stdout.partition("<pre>")[2].partition("</pre>")[0])
    seen = msgspec.json.decode(told, type=Seen)
    assert seen.background == background
    assert seen.sections == SECTIONS
    others = [figure for figure in seen.figures if not figure.startswith("metric-")]
    assert [figure for figure in others if figure != "measures"] == OVER_TIME
    shown = {title.partition(":")[0] for title in seen.metrics}
    assert shown == set(registry.BUILTIN["metrics"])
    assert seen.pictures == PICTURES
    assert (seen.bare, seen.unseen, seen.untold, seen.loaded) == ([], [], 0, [])
    assert seen.scrolls <= 0, "the page itself never scrolls to the side"


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_the_browser_has_nothing_to_complain_about(page: Path, tmp_path: Path) -> None:
    ended = browsed(page, tmp_path)
    assert "</html>" in ended.stdout
    assert [line for line in ended.stderr.splitlines() if "CONSOLE" in line] == []
