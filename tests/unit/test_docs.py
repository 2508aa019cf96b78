"""The architecture page is a map: what it names is there, and what is there is on it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASES = (ROOT, ROOT / "streamgen", ROOT / "adapters")

PAGE = (ROOT / "docs/architecture.md").read_text()
QUOTED = {name for name in re.findall(r"`([^`\s]+)`", PAGE) if re.search(r"/|\.(toml|css|html)$", name)}
NAMED = sorted(QUOTED | set(re.findall(r"[\w/]+\.py\b", PAGE)))


def where(name: str) -> set[Path]:
    return {base / name for base in BASES if (base / name).exists()}


@pytest.mark.parametrize("name", NAMED)
def test_what_the_architecture_page_names_is_there(name: str) -> None:
    assert where(name)


def test_every_module_and_folder_is_on_the_architecture_page() -> None:
    named = {path for name in NAMED for path in where(name)}
    files = {path for path in (ROOT / "streamgen").glob("*.py") if not path.name.startswith("__")}
    folders = {path.parent for path in (ROOT / "streamgen").glob("*/__init__.py")}
    assert {path.relative_to(ROOT).as_posix() for path in (files | folders) - named} == set()
