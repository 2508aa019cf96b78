"""`snips_*.jsonl` are rows of SNIPS (Coucke et al. 2018, CC0)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgen.control.classifier import Classifier, ClassifierSettings
from streamgen.errors import MissingExtra, RecipeError, RewardError
from streamgen.record import Record

HERE = Path(__file__).parent
ROWS = [msgspec.json.decode(line) for line in (HERE / "snips_train.jsonl").read_bytes().splitlines()]
RECORDS = [Record(str(index), row) for index, row in enumerate(ROWS)]


def classifier(validation: str = "snips_validation.jsonl", directory: Path = HERE, **more: Any) -> Classifier:
    return Classifier(ClassifierSettings(validation=validation, directory=str(directory), **more))


async def test_real_utterances_teach_and_shuffled_labels_do_not() -> None:
    labels = [row["label"] for row in ROWS]
    shifted = [record.with_columns(label=label) for record, label in zip(RECORDS, labels[1:] + labels[:1], strict=True)]
    good = await classifier().score(RECORDS, [])
    bad = await classifier().score(shifted, [])
    assert good["accuracy"] >= 0.8
    assert good["macro_f1"] >= 0.8
    assert bad["accuracy"] <= 0.4


async def test_the_same_records_give_the_same_metrics() -> None:
    assert await classifier().score(RECORDS, []) == await classifier().score(RECORDS, [])


async def test_the_pool_counts_only_when_trained_on_the_pool() -> None:
    batch, pool = RECORDS[:10], RECORDS[10:]
    alone = await classifier(train_on="batch").score(batch, pool)
    together = await classifier(train_on="pool").score(batch, pool)
    assert alone == await classifier(train_on="batch").score(batch, [])
    assert together["accuracy"] > alone["accuracy"]


async def test_seeds_are_added_to_the_training_rows(tmp_path: Path) -> None:
    (tmp_path / "seeds.jsonl").write_bytes((HERE / "snips_train.jsonl").read_bytes())
    seeded = classifier(str(HERE / "snips_validation.jsonl"), tmp_path, seeds="seeds.jsonl")
    one = Record("x", {"text": "play a song", "label": "PlayMusic"})
    assert (await seeded.score([one], []))["accuracy"] >= 0.8


def test_the_main_metric_can_be_chosen() -> None:
    assert classifier().metric == "accuracy"
    assert classifier(metric="macro_f1").metric == "macro_f1"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "none of the trial's 0 records"),
        ([Record("0", {"text": " ", "label": "a"}), Record("1", {"text": "hi"})], "none of the trial's 2 records"),
        ([Record("0", {"text": "hi", "label": "a"}), Record("1", {"text": "ho", "label": "a"})], "one class, 'a'"),
    ],
)
async def test_records_that_nothing_can_be_learned_from_are_an_error(records: list[Record], message: str) -> None:
    with pytest.raises(RewardError, match=message):
        await classifier().score(records, [])


async def test_an_empty_batch_is_an_error_also_with_a_pool() -> None:
    with pytest.raises(RewardError, match="0 records"):
        await classifier(train_on="pool").score([], RECORDS)


GOOD = '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot read .*v\.jsonl: No such file"),
        (GOOD + "{text}\n", r"v\.jsonl, line 3: no JSON object"),
        (GOOD + "[1]\n", r"line 3: no JSON object"),
        ('{"text": "a", "labl": "x"}\n', r"line 1: no column 'label'; did you mean 'labl'"),
        (GOOD + '\n{"text": null, "label": "x"}\n', r"line 4: no column 'text'"),
        ('{"text": "a", "label": "x"}\n', "only the class 'x'"),
        ("", "no rows"),
    ],
)
def test_a_validation_file_that_cannot_serve_is_refused_when_built(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "v.jsonl").write_text(content)
    with pytest.raises(RecipeError, match=message) as caught:
        classifier("v.jsonl", tmp_path)
    assert caught.value.path == "$.controller.reward.validation"


def test_a_seeds_file_may_hold_one_class_but_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text(GOOD)
    (tmp_path / "s.jsonl").write_text('{"text": "a", "label": "x"}\n')
    classifier("v.jsonl", tmp_path, seeds="s.jsonl")
    with pytest.raises(RecipeError) as caught:
        classifier("v.jsonl", tmp_path, seeds="none.jsonl")
    assert caught.value.path == "$.controller.reward.seeds"


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.control.classifier.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"streamgen-llm\[metrics\]"):
        classifier()
