"""A model's score of a record by a rubric, with the reason: LLM as a judge (Zheng et al. 2023, arXiv 2306.05685).

One text is graded by itself, on a stated scale, in structured form, and the reason is written before the score (Wang
et al. 2023, arXiv 2305.17926, find that a score without evidence is less steady).
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Annotated, Literal

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate.calling import SamplingSettings, sampling
from streamgen.quality._judge_prompts import Question, Wording, conversation, schema_of
from streamgen.quality.grading import graded
from streamgen.record import Record, Value
from streamgen.text import text_of

_REASON = 500  # characters that are kept


class JudgeSettings(SamplingSettings, frozen=True, kw_only=True):
    """The model judges the `columns` by the `rubric`, with a whole number on the `scale` (lowest, highest).

    `levels` say what scores mean ({ 1 = "wrong", 5 = "right and complete" }); without a `scale` they are its ends.
    With `aspects` ({ helpful = "...", honest = "..." }) each of these gets a score, and the record their mean. Below
    `min_score` a record is dropped. `unscored` says what becomes of one that the model gave no usable score, not even
    when it was asked again, and of one whose columns are all empty: it has no score, which is not a low one. A column
    is cut at `max_characters`. `wording` holds the prompts.
    """

    columns: Annotated[tuple[str, ...], Meta(min_length=1)]
    rubric: Annotated[str, Meta(min_length=1)]
    scale: tuple[int, int] | None = None
    levels: Mapping[str, str] = {}
    aspects: Mapping[str, str] = {}
    min_score: float | None = None
    unscored: Literal["keep", "drop"] = "keep"
    max_characters: Annotated[int, Meta(ge=100, le=500_000)] = 20_000
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError for a rubric without a scale, and for what does not go together with it."""
        low, high = self.ends()
        if low >= high:
            raise ValueError(f"scale: its lowest score, {low}, has to be below its highest, {high}")
        if wrong := [level for level in self.levels if not low <= _whole(level) <= high]:
            raise ValueError(f"levels: {wrong[0]!r} is not on the scale from {low} to {high}")
        if self.min_score is not None and not low <= self.min_score <= high:
            raise ValueError(f"min_score: {self.min_score} is not on the scale from {low} to {high}")
        if "reason" in self.aspects or any("." in name for name in self.aspects):
            raise ValueError("aspects: none can be called `reason`, or have a `.` in its name")
        self.wording.check()

    def ends(self) -> tuple[int, int]:
        """The lowest and the highest score."""
        if self.scale is not None:
            return self.scale
        if not self.levels:
            raise ValueError(
                "scale: a rubric needs one: give the lowest and the highest score, as scale = [1, 5], or what scores "
                'mean, as levels = { 1 = "useless", 5 = "perfect" }'
            )
        scores = [_whole(level) for level in self.levels]
        return min(scores), max(scores)

    def reads(self) -> frozenset[str]:
        """The columns."""
        return frozenset(self.columns)


async def judge(record: Record, context: Context[JudgeSettings]) -> Result:
    """The record with its score under the stage's name, and the reason as a verdict; or a drop as `low_score`.

    Aspects are scored as `stage.aspect`. A record that stays unscored has the verdict "unscored: why" and no score; it
    is dropped as `unscored` where the settings say so.
    """
    settings = context.settings
    texts = {column: _cut(text_of(record, column, context.stage), settings) for column in settings.columns}
    if not any(map(str.strip, texts.values())):
        return _unscored(record, "there is nothing to judge", context)
    (low, high), aspects = settings.ends(), settings.aspects
    question = Question(settings.rubric, low, high, settings.levels, aspects, texts)
    asked = conversation(question, settings.wording)
    schema = schema_of(low, high, tuple(aspects))
    answer = await graded(context, settings.model, asked, schema, sampling(context))
    return _unscored(record, answer, context) if isinstance(answer, str) else _scored(record, answer, context)


def _scored(record: Record, answer: Mapping[str, Value], context: Context[JudgeSettings]) -> Result:
    settings, stage = context.settings, context.stage
    parts = {name: float(answer[name]) for name in settings.aspects or ("score",)}
    score = fmean(parts.values())
    if settings.min_score is not None and score < settings.min_score:
        return Drop("low_score")
    named = {f"{stage}.{name}": value for name, value in parts.items()} if settings.aspects else {}
    scores = {**record.meta.scores, stage: score, **named}
    return _with_verdict(record.with_meta(scores=scores), answer["reason"].strip(), stage)


def _unscored(record: Record, why: str, context: Context[JudgeSettings]) -> Result:
    if context.settings.unscored == "drop":
        return Drop("unscored")
    return _with_verdict(record, f"unscored: {why}", context.stage)


def _with_verdict(record: Record, verdict: str, stage: str) -> Record:
    return record.with_meta(verdicts={**record.meta.verdicts, stage: verdict[:_REASON]})


def _cut(text: str, settings: JudgeSettings) -> str:
    return text if len(text) <= settings.max_characters else f"{text[: settings.max_characters]} [cut]"


def _whole(level: str) -> int:
    try:
        return int(level)
    except ValueError:
        raise ValueError(f"levels: {level!r} is no whole number; give what each score means by its number") from None
