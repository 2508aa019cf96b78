"""The report of a run with every metric in a browser: light and dark, nothing loaded, nothing complained about."""

from __future__ import annotations

import html
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from runs import echo, make

from streamgen import registry
from streamgen.opening import open_run
from streamgen.record import Value
from streamgen.report import write_report
from streamgen.virtual_time import run_virtual

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECTIONS = ["funnel", "time", "spend", "metrics", "samples", "card", "recipe"]
OVER_TIME = ["kept-over-time", "speed", "spent-over-time"]

# The page in a frame; what a browser makes of it is told in JSON.
MEASURE = """<!DOCTYPE html><meta charset="utf-8"><body>FRAME<script>
onload = () => {
  const view = document.querySelector("iframe").contentWindow, page = view.document;
  const found = {
    background: view.getComputedStyle(page.body).backgroundColor,
    sections: [...page.querySelectorAll("section[id]")].map(e => e.id),
    figures: [...page.querySelectorAll(".figure")].map(e => e.id),
    metrics: [...page.querySelectorAll("table.metric caption")].map(e => e.textContent),
    flat: [...page.querySelectorAll("svg")].filter(e => e.getBoundingClientRect().height < 60).length,
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
    flat: int
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


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of a minute of virtual time."""
    folder = tmp_path_factory.mktemp("run")
    rows = [{"n": f"Will it {'rain' if n % 2 else 'snow'} in town {n % 11}?", "label": "xy"[n % 2]} for n in range(60)]
    real = folder / "real.jsonl"
    real.write_bytes(b"\n".join(msgspec.json.encode({"text": row["n"], "label": row["label"]}) for row in rows[:12]))
    recipe = make(
        echo(latency_s=1.0), metrics=metrics(real), source={"type": "list", "rows": rows},
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
@pytest.mark.parametrize(
    ("scheme", "background"), [(0, "rgb(13, 17, 23)"), (1, "rgb(246, 247, 249)")], ids=["dark", "light"]
)
def test_every_section_metric_and_picture_is_there_and_nothing_is_loaded(
    page: Path, tmp_path: Path, scheme: int, background: str
) -> None:
    document = html.escape(page.read_text().replace("Content-Security-Policy", "x-policy"), quote=True)
    frame = f'<iframe width="1100" height="900" style="border:0" srcdoc="{document}"></iframe>'
    (tmp_path / "measure.html").write_text(MEASURE.replace("FRAME", frame))
    ended = browsed(tmp_path / "measure.html", tmp_path, f"--blink-settings=preferredColorScheme={scheme}")
    told = html.unescape(ended.stdout.partition("<pre>")[2].partition("</pre>")[0])
    seen = msgspec.json.decode(told, type=Seen)
    assert seen.background == background
    assert seen.sections == SECTIONS
    assert [figure for figure in seen.figures if figure != "measures"] == OVER_TIME
    shown = {title.partition(":")[0] for title in seen.metrics}
    assert shown == set(registry.BUILTIN["metrics"]) - {"constraints", "scores"}  # no verdict and no score here
    assert (seen.flat, seen.loaded) == (0, [])
    assert seen.scrolls <= 0, "the page itself never scrolls to the side"


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_the_browser_has_nothing_to_complain_about(page: Path, tmp_path: Path) -> None:
    ended = browsed(page, tmp_path)
    assert "</html>" in ended.stdout
    assert [line for line in ended.stderr.splitlines() if "CONSOLE" in line] == []
