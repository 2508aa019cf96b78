"""How well a classifier does on real rows after it has learned from the records alone."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.control.classifier_job import evaluate
from streamgen.control.examples import Example, check_classes, read_examples
from streamgen.errors import MissingExtra
from streamgen.metrics.sample import Sample, State
from streamgen.metrics.texts import keys_of, texts_of
from streamgen.record import Record, Value
from streamgen.settings import FilePath, Settings

_decode = msgspec.msgpack.Decoder(State).decode


class TstrSettings(Settings, frozen=True, kw_only=True):
    """The columns `text` and `label`, in the records as in the JSONL file `test` of real rows.

    At most `most` records are learned from. What settings are tuned on (the reward's `validation`) is no test of them.
    """

    text: str = "text"
    label: str = "label"
    test: FilePath
    most: Annotated[int, Meta(ge=2, le=100_000)] = 2000

    def check(self) -> None:
        """Raise MissingExtra without scikit-learn."""
        if find_spec("sklearn") is None:
            raise MissingExtra("the metric tstr", "metrics")

    def reads(self) -> frozenset[str]:
        """Both columns."""
        return frozenset({self.text, self.label})


class Tstr:
    """Train on synthetic, test on real (Esteban et al. 2017, arXiv 1706.02633): `accuracy`, `macro_f1` and more.

    The classifier is that of the reward `classifier`: TF-IDF and logistic regression. It learns from the records of the
    smallest hashes, whatever order they came in; `error` tells the share of each class's real rows that it takes for
    another. Raises RecipeError, naming file and line, for a file that cannot serve.
    """

    is_costly = True

    def __init__(self, settings: TstrSettings) -> None:
        settings.check()
        self._settings = settings
        self._real = list(read_examples(Path(settings.test), settings.text, settings.label, ""))
        check_classes(self._real, settings.test, "")
        self._sample = Sample(settings.most)

    def update(self, records: Sequence[Record]) -> None:
        """Take in these records; one without a text or a label teaches nothing."""
        settings = self._settings
        labels = [record.text(settings.label) for record in records]
        texts = [text if label else "" for text, label in zip(texts_of(records, settings.text), labels, strict=True)]
        self._sample.update(keys_of(records, settings.text), texts, labels)

    def merge(self, other: Tstr) -> None:
        """Take in another measurement."""
        self._sample.merge(other._sample)

    def snapshot(self) -> bytes:
        """All that it knows but the real rows."""
        return msgspec.msgpack.encode(self._sample.state())

    def restore(self, snapshot: bytes) -> None:
        """Know what another one knew."""
        self._sample.load(_decode(snapshot))

    def result(self) -> dict[str, Value]:
        """The measures so far; None before there are records of two classes."""
        examples = [Example(drawn.text, drawn.label) for drawn in self._sample.drawn()]
        empty: dict[str, Value] = {"accuracy": None, "macro_f1": None, "trained_on": len(examples), "error": {}}
        if len({example.label for example in examples}) < 2:
            return empty
        try:
            found = evaluate(examples, self._real)
        except ValueError:  # not one text has a word that scikit-learn takes for one
            return empty
        errors = {name.removeprefix("error/"): rate for name, rate in found.items() if name.startswith("error/")}
        return {**{name: value for name, value in found.items() if "/" not in name}, "error": errors}
