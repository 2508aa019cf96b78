"""What data is worth: the accuracy of a classifier trained on it alone, and beside the seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from streamgen.control.classifier import Example, evaluate

Hits: TypeAlias = npt.NDArray[np.bool_]

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

    Weight 0 is the seeds alone: rows are left out that do not help beyond what chance may do (McNemar's test, 5 %).
    """
    alone = hits(seeds, (), 0.0, validation)
    found = {weight: hits(seeds, made, weight, validation) for weight in WEIGHTS if weight and made}
    best = max(found, key=lambda weight: (found[weight].sum(), -weight), default=0.0)
    if best and not surely_better(found[best], alone):
        best = 0.0
    return Beside(best, float(hits(seeds, made, best, test).mean()))


def surely_better(ours: Hits, theirs: Hits) -> bool:
    """Whether so many rows more are right as hardly ever by chance, of those where the two differ."""
    differ = int((ours != theirs).sum())
    return int(ours.sum()) - int(theirs.sum()) > 1.96 * math.sqrt(differ)


def hits(seeds: Sequence[Example], made: Sequence[Example], weight: float, held_out: Sequence[Example]) -> Hits:
    """Which rows the reward's model with weights gets right, over the words of all rows that count."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    rows = [*seeds, *(made if weight else ())]
    truth = np.array([row.label for row in held_out])
    if len({row.label for row in rows}) < 2:
        return np.zeros(len(truth), dtype=np.bool_)
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    model = LogisticRegression(C=10.0, max_iter=1000)
    with threadpool_limits(limits=1):
        weights = [1.0] * len(seeds) + [weight] * (len(rows) - len(seeds))
        model.fit(vectorizer.fit_transform([row.text for row in rows]), [row.label for row in rows], weights)
        predicted = model.predict(vectorizer.transform([row.text for row in held_out]))
    return np.asarray(predicted == truth, dtype=np.bool_)
