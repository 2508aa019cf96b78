"""Trains classifiers and measures them on held-out rows; runs wherever the reward's worker is."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamgen.control.examples import Example

LEAST_PROBABILITY = 1e-3  # in logarithms: a class that was not in the training data would count as minus infinity
MOST_CLASSES = 100  # whose errors are told one by one

Floats = NDArray[np.float64]


class Training(msgspec.Struct, frozen=True):
    """What to train on (`known`, and `made` or `baseline` beside it), what to measure on, how often to resample."""

    known: Sequence[Example]
    made: Sequence[Example]
    baseline: Sequence[Example]
    held_out: Sequence[Example]
    resamples: int
    seed: int = 0


class Truth(NamedTuple):
    """The classes, in order, and the index of each held-out row's one."""

    classes: list[str]
    labels: NDArray[np.intp]


def measure(job: Training) -> dict[str, float]:
    """The metrics of `made`, and where there is a baseline, its own and the differences; the same each time."""
    metrics = _trained(job, job.made)
    if not job.baseline or len({label for _, label in (*job.known, *job.baseline)}) < 2:
        return metrics
    return with_baseline(metrics, _trained(job, job.baseline))


def with_baseline(metrics: dict[str, float], baseline: dict[str, float]) -> dict[str, float]:
    """The metrics, and for each that has a standard error, the baseline's and the difference."""
    found = dict(metrics)
    for name, error in metrics.items():
        if name.endswith("_se") and name in baseline:
            name = name.removesuffix("_se")
            found[f"{name}_baseline"] = baseline[name]
            found[f"{name}_difference"] = metrics[name] - baseline[name]
            found[f"{name}_difference_se"] = hypot(error, baseline[f"{name}_se"])
    return found


def evaluate(training: Sequence[Example], held_out: Sequence[Example]) -> dict[str, float]:
    """Metrics on `held_out` of one model trained on `training`; one thread, the same figures each time."""
    return measure(Training((), training, (), held_out, 0))


def metrics_of(probabilities: Floats, truth: Truth) -> dict[str, float]:
    """What the probabilities (rows x classes) of the held-out rows are worth; more is better in each.

    `probability` is the mean one of the true class, `log_score` the mean logarithm of it (Good 1952), `brier_score`
    one minus half of Brier's (1950): 1 for certainty, 0 for certainty of a wrong class.
    """
    predicted = probabilities.argmax(axis=1)
    of_true = probabilities[np.arange(len(truth.labels)), truth.labels]
    squares = (probabilities**2).sum(axis=1) - 2 * of_true + 1
    return {
        "accuracy": float((predicted == truth.labels).mean()),
        "macro_f1": _macro_f1(predicted, truth),
        "probability": float(of_true.mean()),
        "log_score": float(np.log(np.maximum(of_true, LEAST_PROBABILITY)).mean()),
        "brier_score": float(1 - squares.mean() / 2),
    }


def class_error_rates(probabilities: Floats, truth: Truth) -> dict[str, float]:
    """The share of each held-out class's rows that are taken for another, as `error/CLASS`."""
    wrong = probabilities.argmax(axis=1) != truth.labels
    present = np.unique(truth.labels)
    if len(present) > MOST_CLASSES:
        return {}
    return {f"error/{truth.classes[index]}": float(wrong[truth.labels == index].mean()) for index in present}


def truth_of(held_out: Sequence[Example], training: Sequence[Example]) -> Truth:
    """The classes of both, and the held-out rows' ones."""
    classes = sorted({label for _, label in held_out} | {label for _, label in training})
    index = {label: place for place, label in enumerate(classes)}
    return Truth(classes, np.array([index[label] for _, label in held_out], dtype=np.intp))


def _trained(job: Training, made: Sequence[Example]) -> dict[str, float]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # scikit-learn depends on it

    training = [*job.known, *made]
    truth = truth_of(job.held_out, training)
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    model = LogisticRegression(C=10.0, max_iter=1000, warm_start=True)
    with threadpool_limits(limits=1):  # left alone, BLAS spins on every core for problems of this size
        inputs = vectorizer.fit_transform([text for text, _ in training])
        labels = [label for _, label in training]
        held_out = vectorizer.transform([text for text, _ in job.held_out])
        whole = _probabilities(model.fit(inputs, labels), held_out, truth)
        resampled = [
            metrics_of(_probabilities(model.fit(inputs, labels, weights), held_out, truth), truth)
            for weights in _resamples(job, len(made))
        ]
    metrics = {**metrics_of(whole, truth), **class_error_rates(whole, truth), "trained_on": float(len(training))}
    return metrics | spread(resampled)


def _resamples(job: Training, made: int) -> list[Floats]:
    """Weights of the training rows for each resample: what the trial made is drawn with replacement, the rest stays."""
    rng = np.random.default_rng(job.seed)
    kept = np.ones(len(job.known))
    draws = [rng.multinomial(made, np.full(made, 1 / made)) for _ in range(job.resamples)]
    return [np.concatenate([kept, drawn]) for drawn in draws]


def spread(resampled: Sequence[dict[str, float]]) -> dict[str, float]:
    """The resamples' means, and their standard deviations: the bootstrap's standard errors (Efron 1979)."""
    if not resampled:
        return {}
    columns = {name: np.array([metrics[name] for metrics in resampled]) for name in resampled[0]}
    found = {f"resampled_{name}": float(columns[name].mean()) for name in ("accuracy", "macro_f1")}
    if len(resampled) > 1:
        errors = {name: float(values.std(ddof=1)) for name, values in columns.items()}
        found |= {f"{name}_se": error for name, error in errors.items()}
        found |= {f"resampled_{name}_se": errors[name] for name in ("accuracy", "macro_f1")}
    return found


def _probabilities(model: Any, held_out: Any, truth: Truth) -> Floats:
    """Rows x classes; 0 for classes that the model does not know."""
    places = {label: index for index, label in enumerate(truth.classes)}
    found = np.zeros((len(truth.labels), len(truth.classes)))
    found[:, [places[label] for label in model.classes_]] = model.predict_proba(held_out)
    return found


def _macro_f1(predicted: NDArray[np.intp], truth: Truth) -> float:
    """The mean F1 of the classes that occur, among the predictions or in truth."""
    size = len(truth.classes)
    hits = np.bincount(truth.labels[predicted == truth.labels], minlength=size)
    counts = np.bincount(predicted, minlength=size) + np.bincount(truth.labels, minlength=size)
    occurs = counts > 0
    return float((2 * hits[occurs] / counts[occurs]).mean())
