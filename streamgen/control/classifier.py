"""The reward `classifier`: how well a model that is trained on the records does on real, held-out rows."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Literal

from streamgen.control.classifier_job import Training, evaluate, measure
from streamgen.control.examples import Example, read_examples
from streamgen.control.held_out import HeldOut, HeldOutSettings, check_two_classes
from streamgen.control.held_out_reward import HeldOutReward, Records
from streamgen.errors import MissingExtra

__all__ = ["ClassifierSettings", "Example", "classifier", "evaluate", "read_examples"]

Metric = Literal[
    "accuracy", "macro_f1", "probability", "log_score", "brier_score", "resampled_accuracy", "resampled_macro_f1"
]


class ClassifierSettings(HeldOutSettings, frozen=True, kw_only=True):
    """What is trained on and measured.

    `train_on = "pool"` trains on a sample of everything accepted so far beside the trial's own records; `seeds` are
    always added.
    """

    metric: Metric = "accuracy"
    train_on: Literal["batch", "pool"] = "batch"

    def check(self) -> None:
        """Raise ValueError for a metric of resamples without any."""
        if self.metric.startswith("resampled") and not self.resamples:
            raise ValueError(f"resamples: {self.metric} is a mean over at least one")


def classifier(settings: ClassifierSettings) -> HeldOutReward[Training]:
    """TF-IDF and logistic regression: accuracy, macro-F1, scores of the probabilities, and the error of each class.

    Raises RecipeError, naming file and line, and MissingExtra.
    """
    if find_spec("sklearn") is None:
        raise MissingExtra("the classifier reward", "metrics")
    return HeldOutReward(settings, settings.metric, partial(_training, settings), measure)


def _training(
    settings: ClassifierSettings, held_out: HeldOut, records: Records, baseline: Records, pool: Records
) -> Training:
    made = held_out.made(records)
    before = held_out.examples(pool) if settings.train_on == "pool" else []
    known = [*held_out.seeds, *before]
    check_two_classes([*known, *made])
    return Training(known, made, held_out.examples(baseline), held_out.validation, settings.resamples)
