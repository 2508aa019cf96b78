"""The package as others meet it: what an import costs, what a wheel holds, which way imports run."""

import ast
import subprocess
import sys
import venv
from pathlib import Path

import anyio
import pytest

from streamgen.testing import ScriptedServer

ROOT = Path(__file__).parents[2]
HEAVY = {"jax", "flax", "optax", "numpy", "aiohttp", "openai", "sklearn", "rich", "click", "sqlite3", "jinja2"}
OTHER_RUNS = {  # what a chat over HTTP, from JSONL to JSONL, has no use for
    "aiohttp", "multidict", "yarl",
    "click", "jinja2", "numpy", "openai", "rich", "structlog", "fractions", "statistics", "tomllib",
    "streamgen.control", "streamgen.llm.ask", "streamgen.llm.ladder", "streamgen.llm.sandbox", "streamgen.llm.schema",
    "streamgen.llm.structured", "streamgen.recipe_file", "streamgen.report", "streamgen.testing",
}  # fmt: skip
PLAIN_RUN = """
import sys, streamgen
model = {"base_url": sys.argv[1], "model": "m"}
chat = {"name": "chat", "type": "chat", "model": "m", "prompt": "{{ prompt }}"}
recipe = {
    "models": {"m": model}, "source": {"type": "jsonl", "path": sys.argv[2] + "/in.jsonl"}, "stages": [chat],
    "sinks": [{"type": "jsonl"}], "metrics": [{"type": "counts"}],
}
assert streamgen.run(recipe, directory=sys.argv[2] + "/run").statistics.accepted == 1
print(*sys.modules)
"""

LAYERS = ["export", "generate", "quality", "privacy", "metrics", "report", "control", "llm", "journal", "engine"]
UPPER = {"generate", "quality", "privacy", "metrics", "control"}  # one layer: neighbours may share code
ALLOWED = {
    "engine": {"engine"},
    "journal": {"journal"},
    "llm": {"llm", "journal", "engine"},
    **{folder: {*UPPER, "llm", "journal", "engine"} for folder in UPPER},
    "report": {*UPPER, "report", "llm", "journal", "engine"},
    "export": {"export", "report", "llm", "journal", "engine"},
}


def imported_folders(path: Path) -> set[str]:
    """Folders of streamgen that a file imports from at run time."""
    tree = ast.parse(path.read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("streamgen.")}


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, streamgen; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(ended.stdout.split())


async def test_a_plain_run_loads_only_what_it_uses(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"prompt": "hi"}')
    async with ScriptedServer() as server:
        ended = await anyio.run_process([sys.executable, "-c", PLAIN_RUN, server.base_url, str(tmp_path)])
    assert OTHER_RUNS.isdisjoint(ended.stdout.decode().split())


def test_the_public_names_all_load() -> None:
    import streamgen

    assert all(getattr(streamgen, name) is not None for name in streamgen.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nope'; it has"):
        streamgen.nope  # noqa: B018


@pytest.mark.parametrize("folder", LAYERS)
def test_imports_run_one_way(folder: str) -> None:
    seen = {
        path.relative_to(ROOT).as_posix(): sorted(imported_folders(path) & set(LAYERS) - ALLOWED[folder])
        for path in (ROOT / "streamgen" / folder).rglob("*.py")
    }
    assert {path: folders for path, folders in seen.items() if folders} == {}


def test_streamgen_never_imports_an_adapter() -> None:
    sources = {path: path.read_text() for path in (ROOT / "streamgen").rglob("*.py")}
    importing = [str(path) for path, text in sources.items() if "import streamgen_adapters" in text]
    importing += [str(path) for path, text in sources.items() if "from streamgen_adapters" in text]
    assert importing == []


def test_a_wheel_installs_and_runs_in_an_empty_environment_below_95_mb(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("streamgen_llm-*.whl")
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    before = installed_bytes(tmp_path / "empty")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-compile", str(wheel)], check=True, capture_output=True)

    helped = subprocess.run([python.parent / "streamgen", "--help"], capture_output=True, text=True, check=True)

    assert "Makes text data sets" in helped.stdout
    assert installed_bytes(tmp_path / "empty") - before < 95e6


def installed_bytes(environment: Path) -> int:
    """What is installed, without byte code."""
    files = (path for path in environment.rglob("site-packages/**/*") if path.is_file() and path.suffix != ".pyc")
    return sum(path.stat().st_size for path in files)
