from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from streamgen.control.build import ControllerSpec
from streamgen.errors import RecipeError
from streamgen.generate.chat import ChatSettings
from streamgen.journal.sinks import JsonlSettings as SinkSettings
from streamgen.llm.budget import Budget
from streamgen.llm.limits import Limits
from streamgen.llm.spec import ModelSpec
from streamgen.quality.length import LengthSettings
from streamgen.recipe import Part, Recipe, RunSpec, StageSpec
from streamgen.registry import names
from streamgen.source import JsonlSettings as SourceSettings

TOML = """
name = "answers"
seed = 7

[models.main]
provider = "openai"
base_url = "http://127.0.0.1:8000/v1"
model = "some-model"
api_key = "env:OPENAI_API_KEY"
timeout_s = 60
limits = { concurrency = 64, requests_per_minute = 6000 }
price = { input = 0.15, output = 0.60 }

[source]
type = "jsonl"
path = "prompts.jsonl"

[[stages]]
name = "answer"
type = "chat"
model = "main"
prompt = "{{ prompt }}"
output = "answer"
temperature = 0.7
parallel = 8

[[stages]]
name = "long-enough"
type = "length"
column = "answer"
min_words = 3
inputs = ["answer"]

[[sinks]]
type = "jsonl"
path = "answers.jsonl"

[run]
accept = 1000
budget = { usd = 5.0, minutes = 30 }

[controller]
agent = "random_search"
batch = 32
reward = { type = "callback", function = "math:fsum", metric = "score" }
[controller.space]
"answer.temperature" = { low = 0.2, high = 1.5 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "hi"}\n')
    (tmp_path / "recipe.toml").write_text(TOML)
    return tmp_path


def raw() -> dict[str, Any]:
    import tomllib

    return tomllib.loads(TOML)


def alike(recipe: Recipe) -> Recipe:
    """Without what tells from where it was read."""
    return msgspec.structs.replace(recipe, raw={})


def test_toml_yaml_json_and_python_build_the_same(folder: Path) -> None:
    (folder / "recipe.json").write_text(json.dumps(raw()))
    (folder / "recipe.yaml").write_text(yaml.safe_dump(raw()))
    (folder / "recipe.yml").write_text(yaml.safe_dump(raw()))
    recipes = [alike(Recipe.load(folder / f"recipe.{suffix}")) for suffix in ("toml", "json", "yaml", "yml")]
    by_hand = Recipe(
        name="answers",
        seed=7,
        models={"main": msgspec.convert(raw()["models"]["main"], ModelSpec)},
        source=Part(type="jsonl", name="jsonl", settings=SourceSettings(path=str(folder / "prompts.jsonl"))),
        stages=(
            StageSpec(
                name="answer",
                type="chat",
                settings=ChatSettings(model="main", prompt="{{ prompt }}", output="answer", temperature=0.7),
                parallel=8,
            ),
            StageSpec(
                name="long-enough",
                type="length",
                settings=LengthSettings(column="answer", min_words=3),
                inputs=("answer",),
            ),
        ),
        sinks=(Part(type="jsonl", name="jsonl", settings=SinkSettings(path="answers.jsonl")),),
        run=RunSpec(accept=1000, budget=Budget(usd=5.0, minutes=30)),
        controller=msgspec.convert(raw()["controller"], ControllerSpec),
        directory=folder,
    )
    assert by_hand.models["main"].limits == Limits(concurrency=64, requests_per_minute=6000)
    assert recipes == [by_hand] * 4


def test_paths_start_from_the_recipes_folder_wherever_one_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    recipe = Recipe.parse(raw())
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert recipe == Recipe.parse(raw(), folder)
    assert list(recipe.source.build("sources")) == [{"prompt": "hi"}]  # type: ignore[union-attr]


def test_values_are_set_by_name_and_by_number(folder: Path) -> None:
    recipe = Recipe.load(
        folder / "recipe.toml",
        ["stages.answer.temperature=0.25", "stages.1.min_words=5", "run.budget.usd=9", "name=b", "run.ordered=true"],
    )
    answer, long_enough = (stage.settings for stage in recipe.stages)
    assert isinstance(answer, ChatSettings) and isinstance(long_enough, LengthSettings)
    assert (answer.temperature, long_enough.min_words, recipe.run.budget.usd) == (0.25, 5, 9.0)
    assert (recipe.name, recipe.run.ordered) == ("b", True)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("run.accept", "--set takes path=value"),
        ("=5", "--set takes path=value"),
        ("stages.anwser.temperature=1", "no entry 'anwser'; did you mean 'answer'? known: answer, long-enough"),
        ("stages.7.temperature=1", "no entry '7'"),
        ("seed.x=1", "'seed' holds a value, not a table"),
        ("run.acept=5", "unknown setting 'acept'; did you mean 'accept'?"),
        ("run.accept=many", "Expected `int | null`, got `str` - at `$.run.accept`"),
    ],
)
def test_what_cannot_be_set_is_told(folder: Path, assignment: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.load(folder / "recipe.toml", [assignment])
    assert said in str(caught.value)


Change = Callable[[dict[str, Any]], object]

UNKNOWN: list[tuple[Change, str, str]] = [
    (lambda r: r.update(modells={}), "unknown setting 'modells'; did you mean 'models'?", "$"),
    (lambda r: r["models"]["main"].update(modell="x"), "'modell'; did you mean 'model'?", "$.models.main"),
    (lambda r: r["models"]["main"]["limits"].update(concurency=1), "mean 'concurrency'", "$.models.main.limits"),
    (lambda r: r["models"]["main"]["price"].update(inputs=1), "did you mean 'input'", "$.models.main.price"),
    (lambda r: r["models"]["main"].update(retry={"atempts": 1}), "did you mean 'attempts'", "$.models.main.retry"),
    (lambda r: r["source"].update(pathh="x"), "did you mean 'path'", "$.source"),
    (lambda r: r["source"].update(type="jsonnl"), "source type 'jsonnl'; did you mean 'jsonl'?", "$.source.type"),
    (lambda r: r["stages"][0].update(temprature=1), "did you mean 'temperature'", "$.stages[0]"),
    (lambda r: r["stages"][1].update(type="lenght"), "stage type 'lenght'; did you mean 'length'?", "$.stages[1].type"),
    (lambda r: r["stages"][0].update(model="mian"), "unknown model 'mian'; did you mean 'main'?", "$.stages[0].model"),
    (lambda r: r["sinks"][0].update(metta=1), "did you mean 'meta'", "$.sinks[0]"),
    (lambda r: r["sinks"][0].update(type="jsnl"), "did you mean 'jsonl'", "$.sinks[0].type"),
    (lambda r: r.update(metrics=[{"type": "count"}]), "did you mean 'counts'", "$.metrics[0].type"),
    (lambda r: r["run"].update(acept=1), "did you mean 'accept'", "$.run"),
    (lambda r: r["run"]["budget"].update(dollars=1), "unknown setting 'dollars'", "$.run.budget"),
    (lambda r: r["run"].update(bounds={"failure_share": 5}), "Expected `float` <= 1", "$.run.bounds.failure_share"),
    (lambda r: r["run"].update(bounds={"stal_s": 1}), "did you mean 'stall_s'", "$.run.bounds"),
    (lambda r: r["controller"].update(batchh=1), "did you mean 'batch'", "$.controller"),
    (lambda r: r.update(finish={"functoin": "a:b"}), "did you mean 'function'", "$.finish"),
]

WRONG: list[tuple[Change, str, str]] = [
    (lambda r: r.update(seed="x"), "Expected `int`, got `str`", "$.seed"),
    (lambda r: r.update(name=""), "Expected `str` of length >= 1", "$.name"),
    (lambda r: r.update(stages={}), "Expected `array`, got `object`", "$.stages"),
    (lambda r: r.update(stages=[3]), "Expected `object`, got `int`", "$.stages[0]"),
    (lambda r: r["models"].update(main=3), "a table of settings is needed here, not int", "$.models.main"),
    (lambda r: r["models"]["main"].update(timeout_s=-1), "Expected `float`", "$.models.main.timeout_s"),
    (lambda r: r["models"]["main"]["price"].update(input="x"), "Expected `float`", "$.models.main.price.input"),
    (lambda r: r["source"].pop("type"), "a type is needed; known: documents, jsonl, list", "$.source.type"),
    (lambda r: r["source"].pop("path"), "required setting is missing: `path`", "$.source"),
    (lambda r: r["source"].update(path="none.jsonl"), "there is no file", "$.source.path"),
    (lambda r: r["stages"][0].pop("name"), 'a stage needs a name, as in name = "answer"', "$.stages[0].name"),
    (lambda r: r["stages"][0].pop("type"), f"a stage needs a type; known: {names('stages')[0]},", "$.stages[0].type"),
    (lambda r: r["stages"][0].update(name="a.b"), "must do without `.` and `/`", "$.stages[0].name"),
    (lambda r: r["stages"][0].pop("prompt"), "required setting is missing: `prompt`", "$.stages[0]"),
    (lambda r: r["stages"][0].update(temperature=9), "Expected `float` <= 2.0", "$.stages[0].temperature"),
    (lambda r: r["stages"][0].update(prompt="{{ prompt"), "prompt: ", "$.stages[0]"),
    (lambda r: r["stages"][0].update(parallel=0), "Expected `int` >= 1", "$.stages[0].parallel"),
    (lambda r: r["stages"][1].update(inputs="answer"), "Expected `array`, got `str`", "$.stages[1].inputs"),
    (lambda r: r["sinks"][0].update(name=3), "Expected `str`, got `int`", "$.sinks[0].name"),
    (lambda r: r["run"].update(accept=-1), "Expected `int` >= 0", "$.run.accept"),
    (lambda r: r["run"]["budget"].update(usd="5"), "Expected `float | null`, got `str`", "$.run.budget.usd"),
    (lambda r: r["models"]["main"].pop("price"), "none is known of main: give each `price = ", "$.run.budget.usd"),
    (lambda r: r.update(metrics=[{"type": "counts"}] * 2), "two metrics are called 'counts'", "$.metrics[1].name"),
    (lambda r: (r.pop("source"), r["run"].pop("accept")), "say how many records to accept", "$.run.accept"),
    (lambda r: (r.pop("source"), r.update(stages=[])), "the recipe makes nothing", "$"),
]


@pytest.mark.parametrize(("change", "said", "path"), [*UNKNOWN, *WRONG])
def test_what_is_wrong_is_told_with_its_place(folder: Path, change: Change, said: str, path: str) -> None:
    wrong = raw()
    change(wrong)
    with pytest.raises(RecipeError) as caught:
        Recipe.parse(wrong, folder)
    assert said in str(caught.value)
    assert str(caught.value).endswith(f" - at `{path}`")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("place", ["api_key", "headers"])
def test_a_literal_key_is_refused_and_never_repeated(folder: Path, place: str) -> None:
    wrong = raw()
    secret = "sk-a-very-secret-key-1234"
    wrong["models"]["main"][place] = secret if place == "api_key" else {"Authorization": f"Bearer {secret}"}
    with pytest.raises(RecipeError, match="must name an environment variable") as caught:
        Recipe.parse(wrong, folder)
    assert secret not in str(caught.value) and caught.value.__suppress_context__
    assert "$.models.main" in str(caught.value)


def test_a_model_that_runs_here_needs_no_price() -> None:
    raw = {"models": {"main": {"provider": "local", "model": "m"}}, "run": {"accept": 1, "budget": {"usd": 1.0}}}
    assert Recipe.parse({**raw, "source": {"type": "list", "rows": []}}).run.budget.usd == 1.0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "name = ", "a.toml is not valid TOML: "),
        ("a.toml", b"name = '\xff'", "a.toml is not valid TOML: "),
        ("a.json", '{"name": }', "a.json is not valid JSON: "),
        ("a.yaml", "name: [", "a.yaml is not valid YAML: "),
        ("a.json", "[1]", "a.json holds no table at its top"),
        ("a.yaml", "", "a.yaml holds no table at its top"),
        ("a.txt", "", "a recipe ends in .toml, .yaml, .yml or .json, not in .txt"),
        ("a", "", "not in nothing"),
    ],
)
def test_files_that_are_no_recipes_are_told(tmp_path: Path, name: str, text: str | bytes, said: str) -> None:
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(RecipeError) as caught:
        Recipe.load(tmp_path / name)
    assert said in str(caught.value)


def test_a_recipe_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*none\.toml: No such file"):
        Recipe.load(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        Recipe.load(tmp_path)


def test_a_setting_that_takes_phrases_or_a_file_takes_texts_in_a_list_for_phrases(tmp_path: Path) -> None:
    (tmp_path / "seeds.jsonl").write_text('{"text": "hi", "label": "a"}\n{"text": "bye", "label": "b"}\n')
    (tmp_path / "people.txt").write_text("a nurse\n")

    def personas(value: object) -> object:
        stage = {"name": "w", "type": "labelled", "model": "m", "seeds": "seeds.jsonl", "personas": value}
        model = {"base_url": "http://127.0.0.1:1/v1", "model": "x"}
        recipe = Recipe.parse({"models": {"m": model}, "stages": [stage], "run": {"accept": 1}}, tmp_path)
        settings: Any = recipe.stages[0].settings
        return settings.personas

    assert personas(["a travelling nurse"]) == ("a travelling nurse",)
    assert personas("people.txt") == str(tmp_path / "people.txt")
    with pytest.raises(RecipeError, match=r"there is no file .*nobody\.txt"):
        personas("nobody.txt")
