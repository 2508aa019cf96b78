"""The rows that a reward is measured on: real ones, apart from the seeds and from the final test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from streamgen.control.examples import Example, check_apart, check_classes, examples_of, read_examples
from streamgen.control.worker import Place
from streamgen.errors import RewardError
from streamgen.record import Record
from streamgen.settings import Settings

PATH = "$.controller.reward"

_TUNED = "what settings are tuned on is no test of them: take these rows out of one of the files"


class HeldOutSettings(Settings, frozen=True, kw_only=True):
    """`text` and `label` are the columns, in the records as in the JSONL files `validation` and `seeds`.

    `seeds` are added to what is trained on. `test` names the file of the final test, which nothing here reads but to
    make sure that it shares no text with the other two: reward and test must be measured on different rows.

    The standard error comes from `resamples` models that learn from resampled records of the trial: it tells how far
    another batch of the same settings may be off. `worker` is where they learn: a process leaves the event loop alone.
    """

    text: str = "text"
    label: str = "label"
    validation: str
    seeds: str | None = None
    test: str | None = None
    directory: str | None = None
    resamples: Annotated[int, Meta(ge=0, le=100)] = 8
    worker: Place = "process"
    timeout_s: Annotated[float, Meta(gt=0)] = 600.0


class HeldOut:
    """The validation rows and the seeds. Raises RecipeError, naming file and line, for files that cannot serve."""

    def __init__(self, settings: HeldOutSettings) -> None:
        self._settings = settings
        self.validation = self._read(settings.validation, "validation")
        self.seeds = self._read(settings.seeds, "seeds") if settings.seeds else []
        check_classes(self.validation, settings.validation, f"{PATH}.validation")
        self._check_apart()

    def examples(self, records: Iterable[Record]) -> list[Example]:
        """What the records teach."""
        return examples_of(records, self._settings.text, self._settings.label)

    def made(self, records: Sequence[Record]) -> list[Example]:
        """What a trial's records teach. Raises RewardError where that is nothing."""
        if made := self.examples(records):
            return made
        columns = f"{self._settings.text!r} and {self._settings.label!r}"
        raise RewardError(f"none of the trial's {len(records)} records has the columns {columns}")

    def _read(self, name: str, setting: str) -> list[Example]:
        settings = self._settings
        return list(read_examples(self._path(name), settings.text, settings.label, f"{PATH}.{setting}"))

    def _check_apart(self) -> None:
        settings = self._settings
        for name in (settings.validation, settings.seeds) if settings.test else ():
            if name and settings.test:
                check_apart(self._path(name), self._path(settings.test), settings.text, f"{PATH}.test", _TUNED)

    def _path(self, name: str) -> Path:
        return Path(self._settings.directory or "", name)


def check_two_classes(training: Sequence[Example]) -> None:
    """Raise RewardError where all that is trained on is of one class."""
    if len(labels := {label for _, label in training}) < 2:
        raise RewardError(f"all {len(training)} training texts are of one class, {labels.pop()!r}")
