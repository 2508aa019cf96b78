"""What data is worth: the accuracy of a classifier trained on it alone, and beside the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streamgen.control.classifier import Example, evaluate

WEIGHTS = (0.0, 0.03, 0.1, 0.3, 1.0)


class Beside(NamedTuple):
    """Seeds with synthetic rows, each of which counts `weight` times as much as a seed."""

    weight: float
    accuracy: float


def accuracy(training: Sequence[Example], held_out: Sequence[Example]) -> float:
    """Of the reward's own model; 0 where there is less than two classes to learn."""
    return evaluate(training, held_out)["accuracy"] if len({row.label for row in training}) > 1 else 0.0


def beside_seeds(
    seeds: Sequence[Example], made: Sequence[Example], validation: Sequence[Example], test: Sequence[Example]
) -> Beside:
    """Accuracy on the test rows with the weight that does best on the validation rows, the lowest of equals.

    Weight 0 is the seeds alone: rows that do not help are left out.
    """
    best = max(WEIGHTS, key=lambda weight: (weighted(seeds, made, weight, validation), -weight))
    return Beside(best, weighted(seeds, made, best, test))


def weighted(seeds: Sequence[Example], made: Sequence[Example], weight: float, held_out: Sequence[Example]) -> float:
    """The reward's model with weights, over the words of all rows that count."""
    if weight == 0.0 or not made:
        return accuracy(seeds, held_out)
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    rows = [*seeds, *made]
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    model = LogisticRegression(C=10.0, max_iter=1000)
    with threadpool_limits(limits=1):
        weights = [1.0] * len(seeds) + [weight] * len(made)
        model.fit(vectorizer.fit_transform([row.text for row in rows]), [row.label for row in rows], weights)
        predicted = model.predict(vectorizer.transform([row.text for row in held_out]))
    right: int = sum(row.label == found for row, found in zip(held_out, predicted, strict=True))
    return right / len(held_out)
