"""The reward `classifier`: how well a model that is trained on the records does on real, held-out rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import anyio.to_thread
import msgspec

from streamgen.errors import MissingExtra, RecipeError, RewardError, suggestion
from streamgen.record import Record, Value
from streamgen.settings import Settings

PATH = "$.controller.reward"


class Example(NamedTuple):
    """A labelled text."""

    text: str
    label: str


class ClassifierSettings(Settings, frozen=True, kw_only=True):
    """`text` and `label` are the columns, in the records as in the JSONL files `validation` and `seeds`.

    `train_on = "pool"` trains on a sample of everything accepted so far beside the trial's own records; `seeds` are
    always added. Keep the final test rows in another file: whatever is tuned on is no test any more.
    """

    text: str = "text"
    label: str = "label"
    validation: str
    metric: Literal["accuracy", "macro_f1"] = "accuracy"
    train_on: Literal["batch", "pool"] = "batch"
    seeds: str | None = None
    directory: str | None = None


class Classifier:
    """TF-IDF and logistic regression, trained in a worker thread: metrics `accuracy` and `macro_f1`.

    Its files are read and checked when it is built. Raises RecipeError, naming file and line, and MissingExtra.
    """

    def __init__(self, settings: ClassifierSettings) -> None:
        if find_spec("sklearn") is None:
            raise MissingExtra("the classifier reward", "metrics")
        self._settings = settings
        self._validation = self._read(settings.validation, "validation")
        self._seeds = self._read(settings.seeds, "seeds") if settings.seeds else []
        _check_classes(self._validation, settings.validation)

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return self._settings.metric

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        """Accuracy and macro-F1 on the validation rows. Raises RewardError for records that no model can learn from."""
        made = self._examples(records)
        if not made:
            columns = f"{self._settings.text!r} and {self._settings.label!r}"
            raise RewardError(f"none of the trial's {len(records)} records has the columns {columns}")
        before = self._examples(pool) if self._settings.train_on == "pool" else []
        training = [*self._seeds, *before, *made]
        if len(labels := {label for _, label in training}) < 2:
            raise RewardError(f"all {len(training)} training texts are of one class, {labels.pop()!r}")
        return await anyio.to_thread.run_sync(evaluate, training, self._validation, abandon_on_cancel=True)

    def _examples(self, records: Iterable[Record]) -> list[Example]:
        text, label = self._settings.text, self._settings.label
        examples = (Example(record.text(text), record.text(label)) for record in records)
        return [example for example in examples if example.text.strip() and example.label]

    def _read(self, name: str, setting: str) -> list[Example]:
        path = Path(self._settings.directory or "", name)
        return list(read_examples(path, self._settings.text, self._settings.label, f"{PATH}.{setting}"))


def evaluate(training: Sequence[Example], held_out: Sequence[Example]) -> dict[str, float]:
    """Accuracy and macro-F1 on `held_out` of a model trained on `training`; one thread, the same figures each time."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score
    from threadpoolctl import threadpool_limits  # scikit-learn depends on it

    vectorizer = TfidfVectorizer(sublinear_tf=True)
    model = LogisticRegression(C=10.0, max_iter=1000)
    with threadpool_limits(limits=1):  # left alone, BLAS spins on every core for problems of this size
        model.fit(vectorizer.fit_transform([row.text for row in training]), [row.label for row in training])
        predicted = model.predict(vectorizer.transform([row.text for row in held_out]))
    real = [row.label for row in held_out]
    return {
        "accuracy": float(accuracy_score(real, predicted)),
        "macro_f1": float(f1_score(real, predicted, average="macro", zero_division=0.0)),
    }


def read_examples(path: Path, text: str, label: str, where: str) -> Iterator[Example]:
    """The labelled texts of a JSONL file. Raises RecipeError, naming file and line, for what is none."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror}", where) from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _example(line, (text, label), f"{path}, line {number}", where)


def _example(line: bytes, columns: tuple[str, str], place: str, where: str) -> Example:
    try:
        row = msgspec.json.decode(line, type=dict[str, Value])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{place}: no JSON object: {error}", where) from None
    for column in columns:
        if row.get(column) is None:
            raise RecipeError(f"{place}: no column {column!r}{suggestion(column, row)}", where)
    return Example(*(str(row[column]) for column in columns))


def _check_classes(examples: Sequence[Example], name: str) -> None:
    classes = {example.label for example in examples}
    if len(classes) < 2:
        held = f"only the class {classes.pop()!r}" if classes else "no rows"
        raise RecipeError(f"{name} holds {held}: a classifier needs two classes to tell apart", f"{PATH}.validation")
