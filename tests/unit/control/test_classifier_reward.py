"""`snips_*.jsonl` are rows of SNIPS (Coucke et al. 2018, CC0)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score

from streamgen.control.classifier import ClassifierSettings, classifier
from streamgen.control.classifier_job import LEAST_PROBABILITY, Truth, evaluate, metrics_of
from streamgen.control.examples import Example, read_examples
from streamgen.control.held_out_reward import HeldOutReward
from streamgen.control.reward import class_errors, close_reward
from streamgen.errors import MissingExtra, RecipeError, RewardError
from streamgen.record import Record

HERE = Path(__file__).parent
ROWS = [msgspec.json.decode(line) for line in (HERE / "snips_train.jsonl").read_bytes().splitlines()]
RECORDS = [Record(str(index), row) for index, row in enumerate(ROWS)]
GOOD = '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'


def a_classifier(validation: str = "snips_validation.jsonl", directory: Path = HERE, **more: Any) -> HeldOutReward[Any]:
    settings = {"worker": "thread", "resamples": 2, **more}
    return classifier(ClassifierSettings(validation=validation, directory=str(directory), **settings))


async def test_real_utterances_teach_and_shuffled_labels_do_not() -> None:
    labels = [row["label"] for row in ROWS]
    shifted = [record.with_columns(label=label) for record, label in zip(RECORDS, labels[1:] + labels[:1], strict=True)]
    good = await a_classifier().score(RECORDS, [])
    bad = await a_classifier().score(shifted, [])
    assert good["accuracy"] >= 0.8
    assert good["macro_f1"] >= 0.8
    assert bad["accuracy"] <= 0.4


async def test_the_same_records_give_the_same_metrics_in_a_process_and_in_a_thread() -> None:
    beside = a_classifier(worker="process")
    assert await beside.score(RECORDS, []) == await a_classifier().score(RECORDS, [])
    await close_reward(beside)


async def test_the_metrics_are_scikit_learns() -> None:
    training = [Example(row["text"], row["label"]) for row in ROWS]
    held_out = list(read_examples(HERE / "snips_validation.jsonl", "text", "label", ""))
    vectorizer, model = TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10.0, max_iter=1000)
    model.fit(vectorizer.fit_transform([text for text, _ in training]), [label for _, label in training])
    probabilities = model.predict_proba(vectorizer.transform([text for text, _ in held_out]))
    real, predicted = [label for _, label in held_out], model.classes_[probabilities.argmax(axis=1)]

    metrics = evaluate(training, held_out)

    assert metrics["accuracy"] == pytest.approx(accuracy_score(real, predicted))
    assert metrics["macro_f1"] == pytest.approx(f1_score(real, predicted, average="macro", zero_division=0.0))
    assert metrics["log_score"] == pytest.approx(-log_loss(real, probabilities), abs=1e-6)
    recalls = recall_score(real, predicted, average=None, labels=sorted(set(real)), zero_division=0.0)
    expected = dict(zip(sorted(set(real)), 1 - recalls, strict=True))
    assert class_errors(metrics) == pytest.approx(expected)


@given(arrays(np.float64, (6, 3), elements=st.floats(0.01, 1.0)), st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_scores_of_probabilities_stay_within_their_bounds(raw: np.ndarray, labels: list[int]) -> None:
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    metrics = metrics_of(probabilities, Truth(["a", "b", "c"], np.array(labels)))
    assert all(0 <= metrics[name] <= 1 for name in ("accuracy", "macro_f1", "probability", "brier_score"))
    assert metrics["log_score"] <= np.log(metrics["probability"]) + 1e-9  # Jensen
    onehot = np.eye(3)[labels]
    assert metrics["brier_score"] == pytest.approx(1 - ((probabilities - onehot) ** 2).sum(axis=1).mean() / 2)


def test_certainty_is_worth_one_and_certainty_of_a_wrong_class_nothing() -> None:
    truth = Truth(["a", "b"], np.array([0, 1, 1]))
    right = metrics_of(np.eye(2)[[0, 1, 1]], truth)
    wrong = metrics_of(np.eye(2)[[1, 0, 0]], truth)
    assert right == {"accuracy": 1.0, "macro_f1": 1.0, "probability": 1.0, "log_score": 0.0, "brier_score": 1.0}
    assert [wrong[name] for name in ("accuracy", "macro_f1", "probability", "brier_score")] == [0.0] * 4
    assert wrong["log_score"] == pytest.approx(np.log(LEAST_PROBABILITY))


async def test_resamples_tell_a_standard_error_and_none_is_told_without() -> None:
    with_error = await a_classifier(resamples=6, metric="resampled_macro_f1").score(RECORDS[:20], [])
    without = await a_classifier(resamples=0).score(RECORDS[:20], [])
    assert 0 < with_error["resampled_macro_f1_se"] < 0.3
    assert with_error["resampled_accuracy"] < with_error["accuracy"]  # fewer different records to learn from
    assert not any(name.endswith("_se") for name in without)
    assert {name: with_error[name] for name in without} == without


async def test_a_batch_beside_a_pool_is_less_uncertain_than_alone() -> None:
    batch, pool = RECORDS[:14], RECORDS[14:]
    alone, beside = [await a_classifier(resamples=8, train_on=what).score(batch, pool) for what in ("batch", "pool")]
    assert beside["accuracy_se"] < alone["accuracy_se"]


async def test_a_pair_is_measured_from_the_same_pool() -> None:
    batch, incumbent, pool = RECORDS[:12], RECORDS[12:24], RECORDS[24:]
    reward = a_classifier(train_on="pool")
    paired = await reward.score_paired(batch, incumbent, pool)
    own, other = await reward.score(batch, pool), await reward.score(incumbent, pool)
    assert {name: paired[name] for name in own} == own
    assert paired["accuracy_baseline"] == other["accuracy"]
    assert paired["accuracy_difference"] == pytest.approx(own["accuracy"] - other["accuracy"])
    assert paired["accuracy_difference_se"] == pytest.approx(np.hypot(own["accuracy_se"], other["accuracy_se"]))
    assert (await reward.score_paired(batch, batch, pool))["macro_f1_difference"] == 0.0


async def test_an_incumbent_that_nothing_can_be_learned_from_is_left_out() -> None:
    reward = a_classifier()
    assert await reward.score_paired(RECORDS, [], []) == await reward.score(RECORDS, [])
    one_class = [record for record in RECORDS if record["label"] == RECORDS[0]["label"]]
    assert await reward.score_paired(RECORDS, one_class, []) == await reward.score(RECORDS, [])


async def test_classes_of_which_there_is_nothing_count_as_errors() -> None:
    two = [record for record in RECORDS if record["label"] in ("PlayMusic", "GetWeather")]
    errors = class_errors(await a_classifier().score(two, []))
    assert len(errors) == 7
    assert [errors[label] for label in errors if label not in ("PlayMusic", "GetWeather")] == [1.0] * 5


async def test_the_pool_counts_only_when_trained_on_the_pool() -> None:
    batch, pool = RECORDS[:10], RECORDS[10:]
    alone = await a_classifier(train_on="batch").score(batch, pool)
    together = await a_classifier(train_on="pool").score(batch, pool)
    assert alone == await a_classifier(train_on="batch").score(batch, [])
    assert together["accuracy"] > alone["accuracy"]


async def test_seeds_are_added_to_the_training_rows(tmp_path: Path) -> None:
    (tmp_path / "seeds.jsonl").write_bytes((HERE / "snips_train.jsonl").read_bytes())
    seeded = a_classifier(str(HERE / "snips_validation.jsonl"), tmp_path, seeds="seeds.jsonl")
    one = Record("x", {"text": "play a song", "label": "PlayMusic"})
    assert (await seeded.score([one], []))["accuracy"] >= 0.8


@pytest.mark.parametrize("shared", ["validation", "seeds"])
def test_rows_of_the_final_test_are_refused_with_their_lines(tmp_path: Path, shared: str) -> None:
    rows = {"validation": GOOD, "seeds": '{"text": "c", "label": "x"}\n'}
    rows[shared] += '\n{"text": "Play  JAZZ", "label": "x"}\n'
    for name, content in {**rows, "test": '{"text": "play jazz"}\n{"text": "q"}\n'}.items():
        (tmp_path / f"{name}.jsonl").write_text(content)
    line = 4 if shared == "validation" else 3
    message = rf"{shared}\.jsonl shares 1 of its texts with .*test\.jsonl: line {line} \(line 1 there\); what settings"
    with pytest.raises(RecipeError, match=message) as caught:
        a_classifier("validation.jsonl", tmp_path, seeds="seeds.jsonl", test="test.jsonl")
    assert caught.value.path == "$.controller.reward.test"


def test_a_test_file_that_is_the_validation_file_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text("".join(f'{{"text": "t{i}", "label": "{i % 2}"}}\n' for i in range(9)))
    with pytest.raises(RecipeError, match=r"shares 9 of its texts .* line 5 \(line 5 there\) and 4 more"):
        a_classifier("v.jsonl", tmp_path, test="v.jsonl")
    with pytest.raises(RecipeError, match="cannot read") as caught:
        a_classifier("v.jsonl", tmp_path, test="none.jsonl")
    assert caught.value.path == "$.controller.reward.test"
    (tmp_path / "test.jsonl").write_text('{"text": "another", "anything": 1}\n')
    assert a_classifier("v.jsonl", tmp_path, test="test.jsonl").metric == "accuracy"


def test_a_mean_over_no_resamples_is_refused() -> None:
    with pytest.raises(ValueError, match="resamples: resampled_accuracy is a mean"):
        ClassifierSettings(validation="v", metric="resampled_accuracy", resamples=0).check()


def test_the_main_metric_can_be_chosen() -> None:
    assert a_classifier().metric == "accuracy"
    assert a_classifier(metric="macro_f1").metric == "macro_f1"


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
        await a_classifier().score(records, [])


async def test_an_empty_batch_is_an_error_also_with_a_pool() -> None:
    with pytest.raises(RewardError, match="0 records"):
        await a_classifier(train_on="pool").score([], RECORDS)


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
        a_classifier("v.jsonl", tmp_path)
    assert caught.value.path == "$.controller.reward.validation"


def test_a_seeds_file_may_hold_one_class_but_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text(GOOD)
    (tmp_path / "s.jsonl").write_text('{"text": "a", "label": "x"}\n')
    a_classifier("v.jsonl", tmp_path, seeds="s.jsonl")
    with pytest.raises(RecipeError) as caught:
        a_classifier("v.jsonl", tmp_path, seeds="none.jsonl")
    assert caught.value.path == "$.controller.reward.seeds"


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamgen.control.classifier.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"streamgen-llm\[metrics\]"):
        a_classifier()
