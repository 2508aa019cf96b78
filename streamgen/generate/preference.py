"""Several answers to a prompt, judged: the best and the worst of them as `chosen` and `rejected`.

Answers come from one or several models and settings, as in UltraFeedback (Cui et al. 2023, arXiv 2310.01377), and are
graded by its aspects one by one, or compared in pairs, each in both orders, where only a verdict that survives the swap
counts (Zheng et al. 2023, arXiv 2306.05685, section 3.4: judges prefer what they read first).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._preference_prompts import ASPECTS, VERDICT, Wording, comparison
from streamgen.generate.calling import SamplingSettings, answered, sampling
from streamgen.generate.chat import check_prompt
from streamgen.llm.model import Message
from streamgen.llm.prompt import compile_prompt
from streamgen.quality._judge_prompts import Question, conversation, schema_of
from streamgen.quality.grading import graded
from streamgen.record import Record, Value
from streamgen.text import words


class Writer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who writes an answer: a model, and what differs from the stage's own settings."""

    model: str
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    system: str | None = None


class PreferenceSettings(SamplingSettings, frozen=True, kw_only=True):
    """`answers` to the `prompt`, a template as `system` is, are written by the `model`, or in turn by `writers`.

    `judge` names the model that judges them (the same where not given), by `method`: "aspects" gives each a whole
    number on the `scale` for each of the `aspects`, "pairwise" compares every two in both orders. The best is `chosen`,
    the worst `rejected`; the difference of their scores (means over aspects; shares of comparisons won) must be at
    least `min_margin`, above 0. Columns: `prompt` (as rendered), `chosen`, `rejected`, `margin`. A judgement
    takes at most `judge_tokens`, by default drawn without chance. `wording` holds the prompts.
    """

    prompt: str
    system: str | None = None
    answers: Annotated[int, Meta(ge=2, le=16)] = 2
    writers: tuple[Writer, ...] = ()
    judge: str | None = None
    method: Literal["aspects", "pairwise"] = "aspects"
    aspects: Mapping[str, str] = msgspec.field(default_factory=lambda: ASPECTS)
    scale: tuple[int, int] = (1, 5)
    judge_tokens: Annotated[int, Meta(ge=16)] = 400
    judge_temperature: Annotated[float, Meta(ge=0.0, le=2.0)] = 0.0
    min_margin: Annotated[float, Meta(gt=0.0)] = 0.01
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError for templates that cannot be right, no aspects, and a scale that is none."""
        for name in ("prompt", "system"):
            check_prompt(name, getattr(self, name) or "")
        for n, writer in enumerate(self.writers):
            check_prompt(f"writers[{n}].system", writer.system or "")
        if not self.aspects or "reason" in self.aspects:
            raise ValueError("aspects: there must be one, and none can be called `reason`")
        if self.scale[0] >= self.scale[1]:
            raise ValueError(f"scale: its lowest score, {self.scale[0]}, has to be below its highest, {self.scale[1]}")
        self.wording.check()

    def asked_models(self) -> tuple[str, ...]:
        """Whoever writes, and the judge."""
        return (self.model, *(writer.model for writer in self.writers), *([self.judge] if self.judge else []))

    def reads(self) -> frozenset[str]:
        """The columns of the templates."""
        templates = (self.prompt, self.system, *(writer.system for writer in self.writers))
        return frozenset[str]().union(*(compile_prompt(template or "").columns for template in templates))

    def writes(self) -> frozenset[str]:
        """The pair and its margin."""
        return frozenset({"prompt", "chosen", "rejected", "margin"})


class Answer(NamedTuple):
    """What somebody wrote."""

    text: str
    model: str


async def preference(record: Record, context: Context[PreferenceSettings]) -> Result:
    """The record with a pair; its scores stand in the provenance as `stage.chosen` and `stage.rejected`.

    Drops: `empty` where fewer than two answers have text, `same_answers` where all are the same, `unscored` where the
    judge gives fewer than two of them a usable score, `tie` where the margin is too small.
    """
    settings = context.settings
    prompt = compile_prompt(settings.prompt).render(record.columns)
    written = [answer for answer in await _written(record, prompt, context) if answer.text]
    if len(written) < 2:
        return Drop("empty")
    distinct = list({" ".join(words(answer.text)) or answer.text: answer for answer in reversed(written)}.values())[
        ::-1
    ]
    if len(distinct) < 2:
        return Drop("same_answers")
    judged = await (_by_aspects if settings.method == "aspects" else _by_pairs)(prompt, distinct, context)
    scored = [(score, answer) for score, answer in zip(judged, distinct, strict=True) if score is not None]
    if len(scored) < 2:
        return Drop("unscored")
    return _paired(record, prompt, scored, context)


def _paired(
    record: Record, prompt: str, scored: Sequence[tuple[float, Answer]], context: Context[PreferenceSettings]
) -> Result:
    """Of equally good answers the first is chosen, of equally bad ones the last rejected."""
    best, chosen = max(scored, key=lambda pair: pair[0])
    worst, rejected = min(reversed(scored), key=lambda pair: pair[0])
    margin = round(best - worst, 6)
    if margin < context.settings.min_margin:
        return Drop("tie")
    stage = context.stage
    scores = {**record.meta.scores, f"{stage}.chosen": best, f"{stage}.rejected": worst}
    verdicts = {**record.meta.verdicts, stage: f"{chosen.model} over {rejected.model}"}
    pair = {"prompt": prompt, "chosen": chosen.text, "rejected": rejected.text, "margin": margin}
    return record.with_columns(pair).with_meta(scores=scores, verdicts=verdicts)


async def _written(record: Record, prompt: str, context: Context[PreferenceSettings]) -> list[Answer]:
    """The answers; writers take turns, and whose turn is first moves on with each ticket."""
    settings = context.settings
    writers = settings.writers or (Writer(model=settings.model),)
    answers = []
    for n in range(settings.answers):
        writer = writers[(context.ticket + n) % len(writers)]
        own = {name: value for name in ("temperature", "top_p") if (value := getattr(writer, name)) is not None}
        system = writer.system if writer.system is not None else settings.system
        messages = [Message("user", prompt)]
        if system is not None:
            messages.insert(0, Message("system", compile_prompt(system).render(record.columns)))
        response = await answered(context.chat(writer.model, messages, **{**sampling(context), **own}))
        answers.append(Answer(response.text.strip(), writer.model))
    return answers


async def _by_aspects(
    prompt: str, answers: Sequence[Answer], context: Context[PreferenceSettings]
) -> list[float | None]:
    settings, (low, high) = context.settings, context.settings.scale
    schema = schema_of(low, high, tuple(settings.aspects))
    scores: list[float | None] = []
    for answer in answers:
        texts = {"request": prompt, "response": answer.text}
        question = Question(settings.wording.rubric, low, high, {}, settings.aspects, texts)
        found = await _judged(conversation(question, settings.wording.grade), schema, context)
        scores.append(None if found is None else fmean(float(found[name]) for name in settings.aspects))
    return scores


async def _by_pairs(prompt: str, answers: Sequence[Answer], context: Context[PreferenceSettings]) -> list[float | None]:
    """The share of its comparisons that each answer has won, a tie being half; those without a verdict do not count."""
    won: list[list[float]] = [[] for _ in answers]
    for one, other in combinations(range(len(answers)), 2):
        forward = await _compared(prompt, answers[one], answers[other], context)
        backward = await _compared(prompt, answers[other], answers[one], context)
        if forward is None or backward is None:
            continue
        is_won = forward == "first" and backward == "second"
        is_lost = forward == "second" and backward == "first"
        share = 1.0 if is_won else 0.0 if is_lost else 0.5
        won[one].append(share)
        won[other].append(1 - share)
    return [fmean(shares) if shares else None for shares in won]


async def _compared(prompt: str, one: Answer, other: Answer, context: Context[PreferenceSettings]) -> str | None:
    asked = comparison(context.settings.wording, prompt, one.text, other.text)
    found = await _judged(asked, VERDICT, context)
    return None if found is None else str(found["better"])


async def _judged(
    asked: Sequence[Message], schema: Mapping[str, Value], context: Context[PreferenceSettings]
) -> Mapping[str, Value] | None:
    """The judge's answer; None where it gave none that can be used."""
    settings = context.settings
    parameters = {"temperature": settings.judge_temperature, "max_tokens": settings.judge_tokens}
    found = await graded(context, settings.judge or settings.model, asked, schema, parameters)
    return None if isinstance(found, str) else found
