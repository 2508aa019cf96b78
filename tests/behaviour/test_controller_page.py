"""The report of a real run with a controller, laid out by a browser: every picture is there and fits."""

from __future__ import annotations

import html
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

import streamgen
from streamgen.llm.model import Request, Response
from streamgen.recipe import Recipe
from streamgen.record import Record, Usage
from streamgen.report import write_report
from streamgen.report.facts import facts_of
from streamgen.testing import prompt_of, scripted

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = ["rewards", "regret", "explored", "curse", "exploration", "coverage"]
CURVES = ["answer.temperature", "answer.top_p", "long-enough.min_words"]
WIDTHS = (400, 1100)

# Two frames with the page; what is laid out in them is told in numbers.
MEASURE = """<!DOCTYPE html><meta charset="utf-8"><body>FRAMES<script>
function box(e) { const b = e.getBoundingClientRect(); return [b.left, b.right, b.width, b.height]; }
onload = () => {
  const found = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument;
    return {
      width: frame.clientWidth,
      scrolls: page.documentElement.scrollWidth,
      figures: [...page.querySelectorAll(".figure:not(.pairs *)")].map(e => e.id),
      pictures: [...page.querySelectorAll(".plot:not(.pairs *) svg")].map(e => ({
        name: e.getAttribute("aria-labelledby"), box: box(e),
        text: parseFloat(getComputedStyle(e.parentElement).fontSize),
        marks: [...e.querySelectorAll("path")].filter(p => getComputedStyle(p).stroke === "none"
          && getComputedStyle(p).fill === "none").map(p => p.getAttribute("class")) })),
      labels: [...page.querySelectorAll(".plot:not([style*=min-width]) span")]
        .map(e => ({text: e.textContent, box: box(e)})),
    };
  });
  document.body.innerHTML = "<pre>" + JSON.stringify(found).replace(/</g, "") + "</pre>";
};
</script></body>"""


class Picture(msgspec.Struct):
    name: str
    box: tuple[float, float, float, float]
    text: float
    marks: list[str]


class Label(msgspec.Struct):
    text: str
    box: tuple[float, float, float, float]


class Seen(msgspec.Struct):
    """What a browser has laid out at a width. `marks` are those that nobody would see."""

    width: float
    scrolls: float
    figures: list[str]
    pictures: list[Picture]
    labels: list[Label]


def reward(records: list[Record]) -> dict[str, float]:
    """Hot answers are better, short ones are worth nothing."""
    if len(records) < 4:
        raise ValueError("too few records")
    heat = [float(record.columns["answer"].split()[0]) for record in records]
    return {"score": sum(heat) / len(heat), "score_se": 0.05}


def answer_of(request: Request) -> Response:
    """The temperature, and as many words as the prompt's number says."""
    words = int(prompt_of(request).split()[-1]) % 5
    return Response(
        f"{request.temperature or 1.0:.3f} {'word ' * words}", usage=Usage(10, 5, cost_usd=0.001), model="m"
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 16 trials with a controller, of which some fail."""
    directory = tmp_path_factory.mktemp("runs")
    rows = [{"prompt": f"question {n}", "label": f"class {n % 3}"} for n in range(160)]
    (directory / "in.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    raw = {
        "models": {"m": {"provider": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "m"}},
        "source": {"type": "jsonl", "path": str(directory / "in.jsonl")},
        "stages": [
            {"name": "answer", "type": "chat", "model": "m", "prompt": "{{ prompt }}", "output": "answer"},
            {"name": "long-enough", "type": "length", "column": "answer", "min_words": 2},
        ],
        "metrics": [{"type": "class_balance"}],
        "controller": {
            "batch": 10,
            "trials": 13,
            "reward": {"type": "callback", "function": f"{__name__}:reward", "metric": "score"},
            "space": {
                "answer.temperature": {"low": 0.1, "high": 1.9},
                "answer.top_p": {"low": 0.5, "high": 1.0},
                "long-enough.min_words": {"low": 1, "high": 6},
            },
        },
    }
    recipe = msgspec.structs.replace(Recipe.parse(raw), models={"m": scripted(answer_of)})
    streamgen.run(recipe, directory=directory / "run")
    return directory / "run"


def test_a_run_with_a_controller_has_all_pictures(directory: Path) -> None:
    trials = facts_of(directory).trials
    assert len(trials.results) == 16 and {result.value is None for result in trials.results} == {True, False}
    page = write_report(directory).read_text()
    assert all(f'<div class="figure" id="{name}">' in page for name in [*PICTURES, "beliefs"])
    assert all(f">{name}</h4>" in page for name in CURVES)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
def test_a_browser_shows_every_picture_at_the_width_of_a_phone_and_of_a_desk(directory: Path, tmp_path: Path) -> None:
    for seen in laid_out(write_report(directory), tmp_path):
        assert seen.scrolls <= seen.width, "the page itself never scrolls to the side"
        assert sorted(seen.figures) == sorted([*PICTURES, "beliefs"])
        assert len(seen.pictures) == len(PICTURES) + len(CURVES)
        for picture in seen.pictures:
            _, _, width, height = picture.box
            assert width > 0.4 * min(seen.width, 560) * (0.5 if "belief" in picture.name else 1) and height >= 60, (
                picture
            )
            assert picture.text == 12 and picture.marks == [], picture
        cut = [label for label in seen.labels if label.text and (label.box[0] < 0 or label.box[1] > seen.width)]
        assert cut == []


def laid_out(page: Path, directory: Path) -> list[Seen]:
    """What a browser makes of the page at both widths."""
    assert CHROMIUM
    document = html.escape(page.read_text().replace("Content-Security-Policy", "x-policy"), quote=True)
    frames = "".join(
        f'<iframe width="{width}" height="900" style="border:0" srcdoc="{document}"></iframe>' for width in WIDTHS
    )
    (directory / "measure.html").write_text(MEASURE.replace("FRAMES", frames))
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        f"--user-data-dir={directory / 'profile'}", "--window-size=1600,1000", "--virtual-time-budget=5000",
        "--dump-dom", (directory / "measure.html").as_uri(),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    numbers = html.unescape(ended.stdout.partition("<pre>")[2].partition("</pre>")[0])
    return msgspec.json.decode(numbers, type=list[Seen])
