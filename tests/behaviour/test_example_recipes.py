"""Every example recipe says what it means, and makes records with the model that runs on this machine."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import streamgen
from streamgen.recipe import Recipe

METHODS = Path(__file__).parents[2] / "examples" / "methods"
RECIPES = sorted(METHODS.glob("*.toml"))
MOST = 3  # records: the examples make some more

MAY_END_EMPTY = {"evol_instruct", "preference", "grounded", "reasoning", "backtranslate", "translate"}
"""What a model of this size seldom gets right, or never: there the run ends by itself, with its drops named."""


def name_of(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_an_example_is_valid_and_says_in_its_first_line_what_it_is(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert Recipe.load(path).stages


@pytest.mark.model
@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_an_example_makes_records(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    accept = tomllib.loads(path.read_text()).get("run", {}).get("accept")
    recipe = Recipe.load(path, [] if accept is None else [f"run.accept={min(accept, MOST)}"])
    summary = streamgen.run(recipe, directory=tmp_path)
    statistics = summary.statistics
    assert summary.end.reason in ("done", "source_ended")
    assert statistics.failed == 0
    assert statistics.accepted >= (0 if path.stem in MAY_END_EMPTY else 1)
