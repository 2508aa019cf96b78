"""Keeps hard examples: texts near the boundary between their class and another one, for a classifier that learns."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from itertools import chain
from typing import Annotated

import msgspec
from msgspec import Meta

from streamgen.context import StageContext
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
from streamgen.generate._seeds import seeds_by_class
from streamgen.quality.profiles import Profiles
from streamgen.record import Record
from streamgen.settings import FilePath, Settings
from streamgen.text import text_of

_GROWTH = 1.25  # the classifier learns anew when there is a quarter more: its total cost stays linear
_LOOKED_AT = 20_000  # characters of a text
_encode, _decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(tuple[str, str]).decode


class BoundarySettings(Settings, frozen=True, kw_only=True):
    """A text passes while its margin, -1 to 1, is at most `most` and at least `least`.

    The margin is the cosine to the texts of its own class less the greatest to another class, over TF-IDF of words and
    their pieces: near 0 the text is hard, above it typical for its class, below it more like another one. Known are
    the `seeds`, a JSONL file with the same columns, and up to `window` texts of each class that passed.
    """

    seeds: FilePath
    column: str = "text"
    label: str = "label"
    most: Annotated[float, Meta(ge=-1.0, le=1.0)] = 0.1
    least: Annotated[float, Meta(ge=-1.0, le=1.0)] = -0.1
    window: Annotated[int, Meta(ge=1, le=10_000)] = 500

    def check(self) -> None:
        """Raise ValueError for bounds that nothing passes, RecipeError for seeds of fewer than two classes."""
        if self.least > self.most:
            raise ValueError(f"least: {self.least} is above most = {self.most}; no text passes")
        if len(seeds_by_class(self.seeds, self.column, self.label)) < 2:
            raise ValueError(f"seeds: {self.seeds} is of one class; a boundary needs two")

    def reads(self) -> frozenset[str]:
        """The text's and the label's column."""
        return frozenset({self.column, self.label})


class Boundary:
    """Drops a text as `too_easy` or `off_label`, or as `unknown_class` where its class has no seed.

    What passes carries its margin as a score, under the stage's name.
    """

    def __init__(self, settings: BoundarySettings) -> None:
        self.keep: Keep = forget
        self._seeds = seeds_by_class(settings.seeds, settings.column, settings.label)
        self._made: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=settings.window))
        self._size = self._learned = 0
        self._own: dict[str, tuple[str, str]] = {}  # of records that come again
        self._profiles = Profiles(self._seeds)

    def __call__(self, records: Sequence[Record], context: StageContext[BoundarySettings]) -> Sequence[Result]:
        """Each record that is hard, scored, and a drop for each that is not."""
        settings = context.settings
        rows = [
            (text_of(record, settings.label, context.stage), text_of(record, settings.column, context.stage))
            for record in records
        ]
        self._learn()
        return [self._judged(record, *row, context) for record, row in zip(records, rows, strict=True)]

    def recall(self, memories: Sequence[Memory]) -> None:
        """Know the texts of earlier sessions."""
        for memory in memories:
            row = _decode(memory.body)
            self._add(*row)
            if memory.record is not None:
                self._own[memory.record] = row

    def __repr__(self) -> str:
        return f"<Boundary of {len(self._seeds)} classes, {self._size} texts passed>"

    def _judged(self, record: Record, label: str, text: str, context: StageContext[BoundarySettings]) -> Result:
        margin = self._profiles.closeness(text[:_LOOKED_AT], label)
        if margin is None:
            return Drop("unknown_class")
        if self._own.get(record.id) != (label, text[:_LOOKED_AT]):
            if margin > context.settings.most:
                return Drop("too_easy")
            if margin < context.settings.least:
                return Drop("off_label")
            self._add(label, text[:_LOOKED_AT])
            self.keep(record.id, _encode((label, text[:_LOOKED_AT].encode("utf-8", "replace").decode())))
        return record.scored(context.stage, margin)

    def _add(self, label: str, text: str) -> None:
        self._made[label].append(text)
        self._size += 1

    def _learn(self) -> None:
        seeds = sum(map(len, self._seeds.values()))
        if self._size + seeds >= _GROWTH * (self._learned + seeds):
            self._learned = self._size
            known = self._seeds.items()
            self._profiles = Profiles({label: tuple(chain(own, self._made.get(label, ()))) for label, own in known})
