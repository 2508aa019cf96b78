"""Folders of data: what stands in their card, how they appear, and that `datasets` and TRL take what is exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exports import directory_with, wish, written
from sample_run import run_sample

from streamgen.errors import RecipeError
from streamgen.export.convert import convert
from streamgen.export.splits import shares_of
from streamgen.record import Record

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Grüße 東京"},
    {"role": "assistant", "content": 'Hello, "you"\n\tthere'},
]
SPLITS = shares_of("train=0.8,validation=0.1,test=0.1")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_holds_a_file_a_split_and_a_card_that_says_so(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [{"text": f"text {n}"} for n in range(20)])
    written(directory, tmp_path / "data", "text", shares=SPLITS, files="jsonl.gz", shuffle=True, license="cc0-1.0")
    assert names(tmp_path / "data") == ["README.md", "test.jsonl.gz", "train.jsonl.gz", "validation.jsonl.gz"]
    card = (tmp_path / "data" / "README.md").read_text()
    assert card.startswith('---\npretty_name: "run"\nlicense: "cc0-1.0"\ntags:\n- synthetic\n- streamgen\n')
    assert '  - split: validation\n    path: "validation.jsonl.gz"\n' in card
    assert "| train | train.jsonl.gz | 16 |" in card
    assert "Split by the shares train 0.8, validation 0.1, test 0.1, seed 0." in card and "Shuffled, seed 0." in card


def test_the_card_of_a_run_tells_its_method_models_filters_and_limits(tmp_path: Path) -> None:
    run_sample(tmp_path / "run")
    written(tmp_path / "run", tmp_path / "data", folder=True)
    card = (tmp_path / "data" / "README.md").read_text()
    assert "32 records" in card
    for said in (
        "| answer | chat |", "| long-enough | too_short | 4 |", "## Privacy",
        "Nothing was done to find or remove private", "Its maker has stated none",
        "5 records failed and are not among these.",
    ):  # fmt: skip
        assert said in card
    assert "license:" not in card


def test_the_card_tells_a_server_by_its_name_alone(tmp_path: Path) -> None:
    from streamgen.report.data_card import where_of

    assert where_of({"base_url": "https://user:secret@llm.example.com/v1?key=secret"}) == "llm.example.com"
    assert where_of({"provider": "local"}) == "local"


def test_names_from_outside_break_neither_the_header_nor_a_table(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path = tmp_path / 'x": [|<b>.jsonl'
    path.write_text('{"text": "a"}')
    convert(path, tmp_path / "data", wish("text", folder=True, files="jsonl", license='a"b: c'))
    card = (tmp_path / "data" / "README.md").read_text()
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["pretty_name"] == path.name and header["license"] == 'a"b: c'
    assert 'Converted from x": [&#124;&lt;b>.jsonl; how that file was made is not known here.' in card


def test_a_folder_is_replaced_only_when_asked_for_and_only_one_of_ours(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [{"text": "new"}])
    data = tmp_path / "data"
    data.mkdir()
    written(directory, data)
    with pytest.raises(RecipeError, match=r"data is not empty; .* --overwrite"):
        written(directory, data)
    assert written(directory, data, "parquet", overwrite=True).records == 1
    assert names(data) == ["README.md", "train.parquet"]
    (data / "notes.odt").write_text("mine")
    with pytest.raises(RecipeError, match=r"data holds notes\.odt, which no export wrote"):
        written(directory, data, overwrite=True)
    (data / "notes.odt").unlink()
    (data / "README.md").write_text("# Mine")
    with pytest.raises(RecipeError, match="has no card of streamgen's"):
        written(directory, data, overwrite=True)
    assert names(data) == ["README.md", "train.parquet"]
    assert names(tmp_path) == ["data", "run"]


def test_what_fails_leaves_the_old_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [{"text": "a"}, {"body": "b"}])
    written(directory, tmp_path / "data", folder=True)
    before = (tmp_path / "data" / "train.jsonl").read_bytes()
    with pytest.raises(RecipeError, match="record 1: the column text is missing"):
        written(directory, tmp_path / "data", "text", folder=True, overwrite=True)
    assert (tmp_path / "data" / "train.jsonl").read_bytes() == before
    assert names(tmp_path) == ["data", "run"]


def test_a_folder_that_cannot_be_put_in_its_place_leaves_the_old_one_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = directory_with(tmp_path / "run", [{"text": "a"}])
    written(directory, tmp_path / "data", folder=True)
    before = (tmp_path / "data" / "train.jsonl").stat().st_ino
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(RecipeError, match=r"cannot write .*data: Permission denied"):
        written(directory, tmp_path / "data", overwrite=True)
    assert (tmp_path / "data" / "train.jsonl").stat().st_ino == before
    assert names(tmp_path) == ["data", "run"]


def test_a_run_is_never_replaced_by_its_export(tmp_path: Path) -> None:
    directory = directory_with(tmp_path / "run", [{"text": "a"}])
    with pytest.raises(RecipeError, match="belongs to the run itself"):
        written(directory, directory, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="is a file; a folder is to be written there"):
        written(directory, tmp_path / "file", folder=True, overwrite=True)


@pytest.mark.parametrize(
    ("files", "error"),
    [("docx", "--files docx: unknown ending"), ("json", "is read only"), ("parquet.gz", "unknown ending")],
)
def test_files_of_a_folder_end_as_it_can_be_written(tmp_path: Path, files: str, error: str) -> None:
    directory = directory_with(tmp_path / "run", [{"text": "a"}])
    with pytest.raises(RecipeError, match=error):
        written(directory, tmp_path / "data", files=files)
    assert names(tmp_path) == ["run"]


def records(count: int = 40) -> list[dict[str, Any]]:
    """Records that every format can be made of."""
    return [
        {
            "messages": [{**turn, "content": f"{turn['content']} {n}"} for turn in TALK[1:]],
            "text": f"text {n}", "prompt": f"ask {n}", "chosen": "yes", "rejected": "no", "margin": n / 2,
            "label": True,
        }
        for n in range(count)
    ]  # fmt: skip


FORMATS_IN_FILES = [
    (format_, files)
    for format_, endings in {
        "jsonl": "jsonl jsonl.gz parquet csv", "alpaca": "jsonl csv.gz parquet", "sharegpt": "jsonl parquet",
        "openai": "jsonl parquet", "chatml": "jsonl csv parquet", "text": "txt txt.gz jsonl", "parquet": "parquet",
    }.items()
    for files in endings.split()
]  # fmt: skip


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`datasets.load_dataset`, which keeps what it makes below the test's folder and asks nobody."""
    datasets = pytest.importorskip("datasets", reason="pip install datasets")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield lambda folder: datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    datasets.enable_progress_bars()


@pytest.mark.parametrize(("format_", "files"), FORMATS_IN_FILES)
def test_datasets_loads_every_split_of_a_folder(tmp_path: Path, load: Any, format_: str, files: str) -> None:
    rows = records()
    directory = directory_with(tmp_path / "run", rows)
    written(directory, tmp_path / "data", format_, shares=SPLITS, files=files)
    loaded = load(tmp_path / "data")
    assert {name: len(split) for name, split in loaded.items()} == {"train": 32, "validation": 4, "test": 4}
    column = {"alpaca": "output", "sharegpt": "conversations", "openai": "messages"}.get(format_, "text")
    found = [row[column] for split in loaded.values() for row in split]
    expected: dict[str, list[Any]] = {
        "output": [row["messages"][1]["content"] for row in rows],
        "conversations": [
            [
                {"from": who, "value": turn["content"]}
                for who, turn in zip(("human", "gpt"), row["messages"], strict=True)
            ]
            for row in rows
        ],
        "messages": [row["messages"] for row in rows],
        "text": [row["text"] for row in rows],
    }
    if format_ != "chatml":
        assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, expected[column]))
    else:
        assert all(text.startswith("<|im_start|>user\nGrüße") for text in found)


@pytest.mark.parametrize("files", ["jsonl", "parquet"])
def test_datasets_loads_rows_with_provenance_and_columns_that_some_lack(tmp_path: Path, load: Any, files: str) -> None:
    run_sample(tmp_path / "run")
    written(tmp_path / "run", tmp_path / "data", files=files, meta=True)
    rows = load(tmp_path / "data")["train"]
    assert len(rows) == 32 and {"prompt", "answer", "label", "_meta"} == set(rows.column_names)
    told = [row["_meta"] if files == "jsonl" else json.loads(row["_meta"]) for row in rows]
    assert [meta["ticket"] for meta in told] == sorted({meta["ticket"] for meta in told})


TRL_TYPES = {
    "language-modeling": {"text"},
    "language-modeling-conversational": {"text"},
    "prompt-completion": {"prompt", "completion"},
    "prompt-completion-conversational": {"prompt", "completion"},
    "preference": {"prompt", "chosen", "rejected", "margin"},
    "preference-conversational": {"prompt", "chosen", "rejected"},
    "unpaired-preference": {"prompt", "completion", "label"},
    "unpaired-preference-conversational": {"prompt", "completion", "label"},
}
CHATML = (
    "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def trl() -> Any:
    """TRL's own data code; it does not need its trainers' torch."""
    pytest.importorskip("transformers", reason="pip install transformers")
    pytest.importorskip("trl", reason="pip install --no-deps trl")
    from trl import data_utils

    return data_utils


@pytest.fixture(scope="module")
def tokenizer(trl: Any) -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, "a")), chat_template=CHATML)


@pytest.mark.parametrize("files", ["jsonl", "parquet"])
@pytest.mark.parametrize("format_", TRL_TYPES)
def test_trl_knows_each_of_its_types_and_applies_a_chat_template(
    tmp_path: Path, load: Any, trl: Any, tokenizer: Any, format_: str, files: str
) -> None:
    rows = records(4)
    if "unpaired" in format_:
        rows = [{name: value for name, value in row.items() if name != "margin"} for row in rows]
    if "preference" not in format_:
        rows = [{name: value for name, value in row.items() if name != "prompt"} for row in rows]
    written(directory_with(tmp_path / "run", rows), tmp_path / "data", format_, files=files)
    for example in load(tmp_path / "data")["train"]:
        assert trl.is_conversational(example) == format_.endswith("-conversational")
        templated = trl.maybe_apply_chat_template(example, tokenizer)
        assert templated.keys() == TRL_TYPES[format_]
        assert all(isinstance(templated[name], str) for name in TRL_TYPES[format_] - {"margin", "label"})


def test_trl_refuses_rows_of_no_type_of_its(trl: Any, tokenizer: Any) -> None:
    with pytest.raises(KeyError, match="Invalid keys in the example"):
        trl.apply_chat_template({"prompt": TALK[:2], "chosen": TALK[2:]}, tokenizer)


def test_trl_unpairs_preferences_as_we_do(tmp_path: Path, load: Any, trl: Any) -> None:
    rows = [{"prompt": f"ask {n}", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(3)]
    directory = directory_with(tmp_path / "run", rows)
    written(directory, tmp_path / "pairs", "preference", folder=True)
    written(directory, tmp_path / "single", "unpaired-preference", folder=True)
    theirs = trl.unpair_preference_dataset(load(tmp_path / "pairs")["train"])
    assert sorted(map(json.dumps, theirs)) == sorted(map(json.dumps, load(tmp_path / "single")["train"]))


def test_trl_reads_sharegpt_as_the_same_messages(tmp_path: Path, load: Any, trl: Any) -> None:
    directory = directory_with(tmp_path / "run", [{"messages": TALK}])
    written(directory, tmp_path / "data", "sharegpt", folder=True)
    (example,) = load(tmp_path / "data")["train"]
    assert trl.is_conversational_from_value(example)
    messages = trl.maybe_convert_to_chatml(example)["messages"]
    assert [turn["content"] for turn in messages] == [turn["content"] for turn in TALK]


def test_trl_writes_chatml_as_we_do(trl: Any, tokenizer: Any) -> None:
    from streamgen.export.chat_formats import chatml
    from streamgen.export.turns import Chosen

    ours = chatml(Record("0", {"messages": TALK}), Chosen())
    assert trl.apply_chat_template({"messages": TALK}, tokenizer) == ours
