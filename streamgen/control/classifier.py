"""The reward `classifier`: how well a model that is trained on the records does on real, held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Annotated, Literal

import msgspec

from streamgen.control.classifier_job import Training, evaluate, measure
from streamgen.control.examples import Example, read_examples
from streamgen.control.held_out import HeldOut, HeldOutSettings, check_two_classes
from streamgen.control.worker import Place, worker_in
from streamgen.errors import MissingExtra
from streamgen.record import Record

__all__ = ["Classifier", "ClassifierSettings", "Example", "evaluate", "read_examples"]

Metric = Literal[
    "accuracy", "macro_f1", "probability", "log_score", "brier_score", "resampled_accuracy", "resampled_macro_f1"
]


class ClassifierSettings(HeldOutSettings, frozen=True, kw_only=True):
    """What is trained on and measured.

    `train_on = "pool"` trains on a sample of everything accepted so far beside the trial's own records; `seeds` are
    always added. The standard error comes from `resamples` models that are trained on resampled records of the trial:
    it tells how far another batch of the same settings may be off. `worker` is where they are trained: a process
    leaves the event loop alone.
    """

    metric: Metric = "accuracy"
    train_on: Literal["batch", "pool"] = "batch"
    resamples: Annotated[int, msgspec.Meta(ge=0, le=100)] = 8
    worker: Place = "process"
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0

    def check(self) -> None:
        """Raise ValueError for a metric of resamples without any."""
        if self.metric.startswith("resampled") and not self.resamples:
            raise ValueError(f"resamples: {self.metric} is a mean over at least one")


class Classifier:
    """TF-IDF and logistic regression: accuracy, macro-F1, scores of the probabilities, and the error of each class.

    Its files are read and checked when it is built. Raises RecipeError, naming file and line, and MissingExtra.
    """

    def __init__(self, settings: ClassifierSettings) -> None:
        if find_spec("sklearn") is None:
            raise MissingExtra("the classifier reward", "metrics")
        self._settings = settings
        self._held_out = HeldOut(settings)
        self._worker = worker_in(settings.worker, settings.timeout_s)

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return self._settings.metric

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        """The metrics on the validation rows. Raises RewardError for records that no model can learn from."""
        return await self._measured(records, (), pool)

    async def score_paired(
        self, records: Sequence[Record], baseline_records: Sequence[Record], pool: Sequence[Record]
    ) -> Mapping[str, float]:
        """The same, and as `METRIC_baseline` what the incumbent's records come to in the trial's place."""
        return await self._measured(records, baseline_records, pool)

    async def aclose(self) -> None:
        """End the process that it trains in."""
        await self._worker.aclose()

    async def _measured(
        self, records: Sequence[Record], baseline: Sequence[Record], pool: Sequence[Record]
    ) -> Mapping[str, float]:
        held_out = self._held_out
        made = held_out.made(records)
        before = held_out.examples(pool) if self._settings.train_on == "pool" else []
        known = [*held_out.seeds, *before]
        check_two_classes([*known, *made])
        job = Training(known, made, held_out.examples(baseline), held_out.validation, self._settings.resamples)
        return await self._worker.call(measure, job)
