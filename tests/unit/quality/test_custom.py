from __future__ import annotations

import sys
from pathlib import Path

import pytest
from judging import ODD, reasons

from streamgen.context import StageContext
from streamgen.engine.stage import Drop
from streamgen.errors import RecipeError
from streamgen.opening import open_run
from streamgen.quality.custom import CustomSettings, custom
from streamgen.recipe import Recipe
from streamgen.record import Record, Value

RULES = """
has_five = lambda text: len(text.split()) >= 5

def why_not(text):
    return True if text else "nothing_there"

def upper(record):
    return record.with_columns(text=record["text"].upper())

def raising(record):
    raise RuntimeError("no")
"""


def raw(**settings: Value) -> dict[str, Value]:
    rows = [{"text": "one two three four five"}, {"text": "one"}, {"text": ""}]
    stage = {"name": "mine", "type": "custom", **settings}
    return {"source": {"type": "list", "rows": rows}, "stages": [stage], "sinks": [{"type": "list"}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "texts", "dropped"),
    [
        ({"function": "rules:has_five", "column": "text"}, ["one two three four five"], {"mine": 2}),
        ({"function": "rules:why_not", "column": "text"}, ["one two three four five", "one"], {"nothing_there": 1}),
        ({"function": "rules:upper"}, ["ONE TWO THREE FOUR FIVE", "ONE", ""], {}),
        ({"function": "builtins:bool", "column": "text"}, ["one two three four five", "one"], {"mine": 1}),
    ],
)
async def test_a_function_beside_the_recipe_or_installed_decides(
    folder: Path, settings: dict[str, Value], texts: list[str], dropped: dict[str, int]
) -> None:
    async with open_run(Recipe.parse(raw(**settings), folder)) as run:
        assert [record["text"] async for record in run] == texts
        assert dict(run.statistics().engine.stages[0].dropped) == dropped


async def test_a_function_that_raises_fails_its_record_only(folder: Path) -> None:
    async with open_run(Recipe.parse(raw(function="rules:raising"), folder)) as run:
        assert [record async for record in run] == []
        assert dict(run.statistics().engine.stages[0].failed) == {"RuntimeError": 3}


def test_a_recipe_whose_folder_moves_still_means_the_same(folder: Path) -> None:
    from streamgen.resume import what_makes_the_data

    recipe = Recipe.parse(raw(function="rules:has_five"), folder)
    assert what_makes_the_data(recipe)["stages"]["mine"]["function"] == "rules.py:has_five"


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("rules:nope", "unknown function of 'rules' 'nope'"),
        ("no_such_module:f", "cannot import 'no_such_module'"),
        ("rules", "expected \"module:function\", not 'rules' - at `$.stages[0]`"),
    ],
)
def test_a_function_that_is_not_there_is_refused(folder: Path, function: str, said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe.parse(raw(function=function), folder)
    assert said in str(raised.value)


def test_every_answer_means_something() -> None:
    record, drop = Record("1", {"text": "a"}), Drop("bad")
    for answer, expected in [(True, record), (1, record), (0, Drop("mine")), (None, Drop("mine")), (drop, drop),
                             ("because", Drop("because")), ("", Drop("mine")), (record, record)]:  # fmt: skip
        sys.modules[__name__].__dict__["answering"] = lambda subject, answer=answer: answer
        settings = CustomSettings(function=f"{__name__}:answering")
        from streamgen.quality.custom import function_of

        function_of.cache_clear()
        assert custom(record, StageContext("mine", settings)) == expected


def test_odd_texts_are_ordinary() -> None:
    assert reasons(custom, CustomSettings(function="builtins:bool", column="text"), ODD).count("stage") == 2
