"""An outside package with one entry point adds a stage: installed for real, used by a recipe in a fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "streamgen_shout"
RECIPE = """
name = "loud"
[source]
type = "list"
rows = [{ text = "hello" }, { text = "world" }]
[[stages]]
name = "shout"
type = "shout"
column = "text"
[[sinks]]
type = "jsonl"
path = "loud.jsonl"
"""


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_an_outside_package_adds_a_stage_with_one_entry_point(tmp_path: Path) -> None:
    lines = sum(len(path.read_text().splitlines()) for path in PACKAGE.glob("*") if path.is_file())
    assert lines <= 30
    site = tmp_path / "site"
    copy = tmp_path / "package"
    copy.mkdir()
    for path in PACKAGE.glob("*.*"):
        (copy / path.name).write_text(path.read_text())
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    installed = run(*pip, "--target", str(site), str(copy))
    assert installed.returncode == 0, installed.stderr
    recipe = tmp_path / "loud.toml"
    recipe.write_text(RECIPE)
    out = tmp_path / "out"

    ended = run(sys.executable, "-m", "streamgen", "run", str(recipe), "--out", str(out), PYTHONPATH=str(site))

    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in (out / "loud.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == ["HELLO", "WORLD"]


def test_a_broken_plugin_is_named_not_skipped(tmp_path: Path) -> None:
    site = tmp_path / "broken-1.0.dist-info"
    site.mkdir()
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (site / "entry_points.txt").write_text("[streamgen.stages]\nshout = no_such_module:shout\n")
    recipe = tmp_path / "loud.toml"
    recipe.write_text(RECIPE)

    ended = run(sys.executable, "-m", "streamgen", "validate", str(recipe), PYTHONPATH=str(tmp_path))

    assert ended.returncode == 2
    assert "'shout'" in ended.stderr and "no_such_module" in ended.stderr
