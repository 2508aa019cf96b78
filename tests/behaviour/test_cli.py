"""The command line as a person meets it: what it prints, what it leaves behind, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamgen import registry
from streamgen.cli import main

RECIPE = """
name = "words"
[source]
type = "list"
rows = [{ text = "one" }, { text = "two words" }, { text = "three whole words" }]
[[stages]]
name = "long-enough"
type = "length"
column = "text"
min_words = 2
[[sinks]]
type = "jsonl"
path = "words.jsonl"
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_a_run_ends_with_what_was_kept_dropped_and_where_it_is(recipe: Path) -> None:
    result = call("run", recipe)
    assert result.exit_code == 0
    assert "too_short 1" in result.stdout and "runs/words/ words.jsonl" in result.stdout
    rows = [json.loads(line)["text"] for line in Path("runs/words/words.jsonl").read_text().splitlines()]
    assert rows == ["two words", "three whole words"]


def test_the_summary_is_json_on_standard_output_when_asked(recipe: Path) -> None:
    result = call("run", recipe, "--json", "--out", "elsewhere")
    summary = json.loads(result.stdout)
    assert summary["end"] == {"reason": "done", "message": "the source has ended; 2 records accepted", "exit_code": 0}
    assert summary["statistics"]["engine"]["stages"][0]["dropped"] == {"too_short": 1}
    assert summary["directory"] == "elsewhere"


def test_too_few_records_for_the_quota_is_a_failure_that_says_so(recipe: Path) -> None:
    result = call("run", recipe, "--accept", 5)
    assert result.exit_code == 1
    assert "the source has ended with 2 of 5 records accepted" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "stages.long-enough.min_wrds=3"], "did you mean 'min_words'"),
        (["--set", "stages.long-enough.column=txt"], "did you mean 'text'"),
        (["--set", "stages.long-enough.type=lenght"], "did you mean 'length'"),
        (["--set", "stages.long-enogh.min_words=3"], "did you mean 'long-enough'"),
        (["--set", "nonsense"], "--set takes path=value"),
        (["--accpt", "3"], "No such option"),
    ],
)
def test_mistakes_end_with_2_and_a_suggestion(recipe: Path, arguments: list[str], said: str) -> None:
    result = call("run", recipe, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not Path("runs").exists()


def test_what_a_run_that_goes_on_did_now_is_told_apart_from_all_of_it(recipe: Path) -> None:
    first = call("run", recipe, "--accept", 1, "--set", "run.tickets_in_flight=1")
    second = call("run", recipe, "--accept", 2, "--set", "run.tickets_in_flight=1")
    assert "this session" not in first.stdout
    assert "stage, this session" in second.stdout and "2 records accepted" in second.stdout


@pytest.mark.parametrize(
    ("module", "body", "said"),
    [
        (
            "fails",
            "raise KeyError(7)",
            "nothing was learned: all 1 rewards failed",
        ),
        ("knows", 'return {"n": 1.0}', "chosen          long-enough.min_words = 2"),
    ],
)
def test_a_run_ends_with_what_its_trials_were_worth(recipe: Path, module: str, body: str, said: str) -> None:
    Path(f"{module}.py").write_text(f"def score(records):\n    {body}\n")
    recipe.write_text(
        RECIPE
        + f"""
        [controller]
        batch = 3
        trials = 1
        reward = {{ type = "callback", function = "{module}:score", metric = "n" }}
        [controller.space]
        "long-enough.min_words" = {{ low = 1, high = 2 }}
        """
    )
    assert said in call("run", recipe).stdout


def test_validate_shows_the_graph(recipe: Path) -> None:
    result = call("validate", recipe)
    assert result.exit_code == 0
    assert "source -> long-enough (length, 1 at once)" in result.stdout


def test_what_a_preview_shows_cannot_steer_the_terminal(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("two words", "two \\u001b[2Jwords"))
    result = call("preview", recipe, "-n", 1)
    assert "\x1b[2J" not in result.stdout and "two \N{REPLACEMENT CHARACTER}[2Jwords" in result.stdout


def test_preview_shows_records_and_keeps_nothing(recipe: Path) -> None:
    result = call("preview", recipe, "-n", 1)
    assert result.exit_code == 0
    assert "two words" in result.stdout
    assert not Path("runs").exists()


def test_a_first_recipe_is_written_once_and_can_be_checked(recipe: Path) -> None:
    assert call("init", "new.toml").exit_code == 0
    assert call("validate", "new.toml").exit_code == 0
    again = call("init", "new.toml")
    assert again.exit_code == 2
    assert "new.toml is there already" in again.stderr
    assert call("init", "a/new.toml").exit_code == 0
    assert Path("a/new.toml").read_bytes() == Path("new.toml").read_bytes()


@pytest.mark.parametrize(
    ("path", "said"), [("new.yaml", "a path that ends in .toml, not new.yaml"), ("recipe.toml/a.toml", "cannot write")]
)
def test_a_first_recipe_that_cannot_be_written_is_told(recipe: Path, path: str, said: str) -> None:
    result = call("init", path)
    assert result.exit_code == 2
    assert said in result.stderr


def test_export_report_and_inspect_read_the_run(recipe: Path) -> None:
    call("run", recipe)
    exported = call("export", "runs/words", "--format", "jsonl", "--out", "out.jsonl")
    assert exported.stdout == "2 records written to out.jsonl\n"
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == [
        {"text": "two words"},
        {"text": "three whole words"},
    ]
    assert call("report", "runs/words").exit_code == 0
    assert "<html" in Path("runs/words/report.html").read_text()
    assert "three whole words" in call("inspect", "runs/words").stdout
    lines = call("inspect", "runs/words", "--trials").stdout.splitlines()
    assert len(lines) == 1 and lines[0].startswith("trial\tkind\trung\treward")
    assert json.loads(call("inspect", "runs/words", "trials", "--json").stdout) == {"trials": [], "recommended": None}
    assert "only trials come as JSON" in call("inspect", "runs/words", "--json").stderr
    nothing = call("inspect", "nowhere")
    assert nothing.exit_code == 2
    assert "nowhere" in nothing.stderr


def test_exports_are_split_converted_and_refused(recipe: Path) -> None:
    call("run", recipe)
    told = call(
        "export", "runs/words", "--format", "text", "--split", "train=0.5,test=0.5", "--seed", 3, "--out", "data"
    )
    assert told.stdout == "2 records written to data\n  train.txt: 1\n  test.txt: 1\n"
    assert "license" not in Path("data/README.md").read_text()
    back = call("convert", "data", "--to", "jsonl", "--out", "back.jsonl")
    assert back.stdout == "2 records written to back.jsonl\n"
    rows = [json.loads(line) for line in Path("back.jsonl").read_text().splitlines()]
    assert sorted(row["text"] for row in rows) == ["three whole words", "two words"]
    csv = call("convert", "back.jsonl", "--from", "text", "--to", "csv", "--out", "a.csv", "--shuffle")
    assert csv.exit_code == 0 and Path("a.csv").read_text().startswith("text\n")
    refused = call("convert", "a.csv", "--to", "preference", "--out", "b.jsonl")
    assert refused.exit_code == 2 and "record 1: the column chosen is missing" in refused.stderr
    assert not Path("b.jsonl").exists()
    separated = call("convert", "a.csv", "--to", "text", "--separator", "\\n\\n", "--out", "b.txt")
    assert separated.exit_code == 0 and len(Path("b.txt").read_text().split("\n\n")) == 3


def test_every_command_is_said_in_one_whole_line() -> None:
    result = CliRunner().invoke(main, ["--help"], terminal_width=80)
    listed = result.stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    assert len(listed) == len(main.commands)  # type: ignore[attr-defined]
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    assert "_STREAMGEN_COMPLETE" in call("completion", shell).stdout


def test_models_are_listed_with_size_and_licence() -> None:
    listed = call("models", "list").stdout
    assert "smollm2-135m" in listed and "98 MB" in listed and "Apache-2.0" in listed
    unknown = call("models", "pull", "smollm")
    assert unknown.exit_code == 2
    assert "did you mean 'smollm2-135m'" in unknown.stderr


def test_where_a_model_is_stands_there_uncut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = tmp_path / ("Z" * 100)
    store.mkdir()
    (store / "mine.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("streamgen.llm.store.store_directory", lambda: store)
    listed = CliRunner().invoke(main, ["models", "list"], env={"COLUMNS": "80"}).stdout
    assert "\N{HORIZONTAL ELLIPSIS}" not in listed and listed.count("Z") == 100


@pytest.fixture
def slow_server() -> Iterator[str]:
    command = [sys.executable, "-m", "streamgen.testing", "--latency-ms", "300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.terminate()


def chat_recipe(path: Path, base_url: str) -> Path:
    path.write_text(
        f"""
name = "asked"
[models.main]
base_url = "{base_url}"
model = "scripted"
limits = {{ concurrency = 2 }}
[[stages]]
name = "ask"
type = "chat"
model = "main"
prompt = "say something"
output = "said"
[[sinks]]
type = "jsonl"
[run]
accept = 500
"""
    )
    return path


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_with_130_and_the_run_goes_on_later(tmp_path: Path, slow_server: str, times: int) -> None:
    """Once: what is in flight is kept. Twice: at once. Either way nothing that is in the file is lost."""
    recipe, out = chat_recipe(tmp_path / "recipe.toml", slow_server), tmp_path / "out"
    command = [sys.executable, "-m", "streamgen", "run", str(recipe), "--out", str(out), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr
        assert "asked: " in child.stderr.readline()  # its first progress line: it runs
        os.kill(child.pid, signal.SIGINT)
        assert child.stderr.readline() == "\n"
        assert child.stderr.readline() == "finishing what is in flight; once more to stop at once\n"
        if times == 2:
            os.kill(child.pid, signal.SIGINT)
        stdout, _ = child.communicate(timeout=60)
    summary = json.loads(stdout)
    assert child.returncode == 130 and summary["end"]["reason"] == "interrupted"
    kept = summary["statistics"]["accepted"]
    assert len((out / "records.jsonl").read_text().splitlines()) == kept > 0

    ended = subprocess.run([*command, "--accept", str(kept + 4)], capture_output=True, text=True, check=True)

    assert json.loads(ended.stdout)["statistics"]["accepted"] == kept + 4
    ids = [json.loads(line)["_meta"]["id"] for line in (out / "records.jsonl").read_text().splitlines()]
    assert len(ids) == len(set(ids)) == kept + 4


def test_a_spent_budget_ends_with_3_and_more_of_it_goes_on(tmp_path: Path, slow_server: str) -> None:
    recipe = chat_recipe(tmp_path / "recipe.toml", slow_server)
    common = [sys.executable, "-m", "streamgen", "run", str(recipe), "--out", str(tmp_path / "out"), "--json"]

    first = subprocess.run([*common, "--set", "run.budget.requests=3"], capture_output=True, text=True, check=False)
    assert first.returncode == 3
    assert json.loads(first.stdout)["statistics"]["accepted"] == 3

    command = [*common, "--set", "run.budget.requests=9", "--accept", "5"]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0
    assert json.loads(second.stdout)["statistics"]["spent"]["requests"] <= 9


@pytest.mark.parametrize("group", ["stages", "models", "sources", "sinks", "metrics", "rewards", "agents"])
def test_all_that_a_recipe_can_name_is_listed_with_its_settings(group: str) -> None:
    listed = call("list", group)
    assert listed.exit_code == 0
    for name in registry.names(group):
        assert name in listed.stdout
        assert call("list", group, name).exit_code == 0


def test_the_settings_of_a_stage_come_with_types_bounds_and_defaults() -> None:
    rows = [line.split() for line in call("list", "stages", "labelled").stdout.splitlines()]
    assert ["model", "string", "required"] in rows
    assert ["top_p", "number", ">", "0", "<=", "1", "or", "null"] in rows
    assert ["shots", "integer", ">=", "1", "3"] in rows
    unknown = call("list", "stages", "labeled")
    assert unknown.exit_code == 2 and "did you mean 'labelled'" in unknown.stderr
