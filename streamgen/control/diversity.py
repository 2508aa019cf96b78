"""The reward `diversity`: how many different records a trial's records amount to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from streamgen.control.diversity_job import Texts, measure
from streamgen.control.hashing import Features
from streamgen.control.worker import Place, worker_in
from streamgen.errors import RewardError
from streamgen.record import Record
from streamgen.settings import Settings


class DiversitySettings(Settings, frozen=True, kw_only=True):
    """`columns` are joined to the text that is compared, by hashed n-grams of its `characters` or `words`.

    `metric` is "vendi" (how many different records they amount to), or "vendi_share" (the share of them that this is,
    where settings that get fewer records accepted should not count as poorer). `of = "pool"` adds a sample of what
    other trials got. `worker` is where it is calculated; unless set, a process for the pool, a thread for a batch.
    """

    columns: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("text",)
    metric: Literal["vendi", "vendi_share"] = "vendi"
    of: Literal["batch", "pool"] = "batch"
    features: Features = "characters"
    dimensions: Annotated[int, msgspec.Meta(ge=16, le=1024)] = 256
    worker: Place | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 300.0


class Diversity:
    """The Vendi score of a cosine kernel: metrics `vendi`, `vendi_share` and the records' `mean_similarity`."""

    def __init__(self, settings: DiversitySettings) -> None:
        self._settings = settings
        place = settings.worker or ("process" if settings.of == "pool" else "thread")
        self._worker = worker_in(place, settings.timeout_s)

    @property
    def metric(self) -> str:
        """The metric that is the reward."""
        return self._settings.metric

    async def score(self, records: Sequence[Record], pool: Sequence[Record]) -> Mapping[str, float]:
        """The metrics of the records that have a text. Raises RewardError where none has."""
        settings = self._settings
        if not (texts := self._texts(records)):
            columns = ", ".join(map(repr, settings.columns))
            raise RewardError(f"none of the trial's {len(records)} records has a text in {columns}")
        others = self._texts(pool) if settings.of == "pool" else []
        job = Texts(texts, others, settings.features, settings.dimensions)
        return await self._worker.call(measure, job)

    async def aclose(self) -> None:
        """End the process, where it was calculated in one."""
        await self._worker.aclose()

    def _texts(self, records: Sequence[Record]) -> list[str]:
        columns = self._settings.columns
        texts = ("\n".join(filter(None, map(record.text, columns))) for record in records)
        return [text for text in texts if text.strip()]
