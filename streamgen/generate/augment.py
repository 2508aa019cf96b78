"""More texts that say the same: paraphrases, round trips through another language, other styles, longer and shorter.

The round trip is back-translation as augmentation (Edunov et al. 2018, arXiv 1808.09381; Xie et al. 2020, arXiv
1904.12848).
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._augment_prompts import (
    Operation,
    Wording,
    classifying,
    label_schema,
    rewriting,
    translating,
)
from streamgen.generate._refusals import has_changed_script
from streamgen.generate._rewritten import Rewritten, rewritten
from streamgen.generate.calling import SamplingSettings, sampling
from streamgen.llm.retry import PAID, CallError
from streamgen.llm.structured import Unfit
from streamgen.record import Record
from streamgen.text import text_of, words

_STYLES = ("a letter to a friend", "a news report", "a note in a hurry", "a story for children")
_REGISTERS = ("formal", "casual", "technical", "plain")


class AugmentSettings(SamplingSettings, frozen=True, kw_only=True):
    """The text of `column` is rewritten `n` times by `operations`, each once before one
    comes again, in an order of chance.

    `style` draws one of `styles`, `register` one of `registers`, `pivot` translates into one of the languages `pivots`
    and back to `source_language`. A result shorter than it should be is a fault of `expand`, a longer one of
    `compress`. With `label`, the column of the label, and all `labels`, the model is asked which one the new text has:
    another one is a fault. `keep_original` sends the record itself on too. `operation` is a column for what was done,
    which for the record itself is "original". `wording` holds the prompts.
    """

    column: str = "text"
    operations: Annotated[tuple[Operation, ...], Meta(min_length=1)] = get_args(Operation)
    n: Annotated[int, Meta(ge=1, le=50)] = 1
    styles: Annotated[tuple[str, ...], Meta(min_length=1)] = _STYLES
    registers: Annotated[tuple[str, ...], Meta(min_length=1)] = _REGISTERS
    pivots: Annotated[tuple[str, ...], Meta(min_length=1)] = ("French", "German", "Spanish")
    source_language: Annotated[str, Meta(min_length=1)] = "English"
    label: str | None = None
    labels: tuple[str, ...] = ()
    unsure: Literal["keep", "drop"] = "drop"
    keep_original: bool = False
    operation: str | None = None
    max_characters: Annotated[int, Meta(ge=1, le=500_000)] = 20_000
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError for a wrong wording, and a label that could not be looked up."""
        self.wording.check()
        if (self.label is not None) != bool(self.labels) or len(set(self.labels)) == 1:
            raise ValueError(
                'labels: to look up the label, give its column and all labels: label = "x", labels = [...]'
            )
        if self.column in (self.label, self.operation):
            raise ValueError(f"column: {self.column!r} is also that of the label or the operation")

    def reads(self) -> frozenset[str]:
        """The text, and its label."""
        return frozenset({self.column} if self.label is None else {self.column, self.label})

    def writes(self) -> frozenset[str]:
        """What was done, where that is wanted."""
        return frozenset() if self.operation is None else frozenset({self.operation})


async def augment(record: Record, context: Context[AugmentSettings]) -> Result:
    """The record in other forms, as many as came out well; a drop with the first one's reason where none did.

    The reasons are empty, too_long, truncated, refusal, leaked_prompt, unchanged, other_language, not_longer,
    not_shorter, repeated, label_changed; unknown_label for one that is
    none of `labels`, and unsure_label where it could not be looked up.
    """
    settings = context.settings
    text = text_of(record, settings.column, context.stage).strip()
    if not text or len(text) > settings.max_characters:
        return Drop("too_long" if text else "empty")
    label = None if settings.label is None else text_of(record, settings.label, context.stage)
    if label is not None and label not in settings.labels:
        return Drop("unknown_label")
    made: list[Record] = [_told(record, "original", context)] if settings.keep_original else []
    seen: set[str] = set()
    reasons: list[str] = []
    for operation in _drawn(context):
        new = await _checked(operation, text, label, context)
        reason = new.fault or ("repeated" if new.text in seen else None)
        if reason:
            reasons.append(reason)
        else:
            seen.add(new.text)
            made.append(_told(record.with_columns({settings.column: new.text}), operation, context))
    if not made:
        return Drop(reasons[0])
    return made[0] if len(made) == 1 else made


def _drawn(context: Context[AugmentSettings]) -> list[Operation]:
    """`n` operations: each comes before one comes again."""
    settings, drawn = context.settings, list[Operation]()
    while len(drawn) < settings.n:
        drawn += context.rng.sample(settings.operations, len(settings.operations))
    return drawn[: settings.n]


def _told(record: Record, operation: str, context: Context[AugmentSettings]) -> Record:
    column = context.settings.operation
    return record if column is None else record.with_columns({column: operation})


async def _checked(operation: Operation, text: str, label: str | None, context: Context[AugmentSettings]) -> Rewritten:
    new = await (_round_trip(text, context) if operation == "pivot" else _rewritten(operation, text, context))
    reason = new.fault or _change(operation, text, new.text)
    if reason is None and label is not None:
        reason = await _labels_fault(new.text, label, context)
    return Rewritten(new.text, reason)


async def _rewritten(operation: Operation, text: str, context: Context[AugmentSettings]) -> Rewritten:
    settings = context.settings
    styles = {"style": settings.styles, "register": settings.registers}.get(operation)
    style = context.rng.choice(styles) if styles else ""
    return await rewritten(context, rewriting(settings.wording, operation, style, text), text)


async def _round_trip(text: str, context: Context[AugmentSettings]) -> Rewritten:
    settings = context.settings
    pivot = context.rng.choice(settings.pivots)
    there = await rewritten(context, translating(settings.wording, "translate", pivot, text), text)
    if there.fault:
        return there
    asked = translating(settings.wording, "translate", settings.source_language, there.text)
    back = await rewritten(context, asked, there.text)
    same = words(back.text) == words(text)
    return Rewritten(back.text, back.fault or ("unchanged" if same else None))


def _change(operation: Operation, before: str, after: str) -> str | None:
    """What a text has that this operation should not have brought about, or None."""
    if has_changed_script(after, before):
        return "other_language"
    if operation == "expand" and len(after) <= len(before):
        return "not_longer"
    return "not_shorter" if operation == "compress" and len(after) >= len(before) else None


async def _labels_fault(text: str, label: str, context: Context[AugmentSettings]) -> str | None:
    settings = context.settings
    asked = classifying(settings.wording, settings.labels, text)
    parameters = {**sampling(context), "temperature": 0.0}
    try:
        answer = await context.structured(settings.model, asked, label_schema(settings.labels), **parameters)
    except Unfit:
        return "unsure_label" if settings.unsure == "drop" else None
    except CallError as error:
        if error.kind not in PAID:
            raise
        return "unsure_label" if settings.unsure == "drop" else None
    return None if answer.value["label"] == label else "label_changed"
