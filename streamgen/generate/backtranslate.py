"""Instructions for texts that people wrote: instruction back-translation (Li et al. 2023, arXiv 2308.06259).

Self-augmentation asks what a text could be the answer to, self-curation grades the pair
from 1 to 5 and keeps the best. The paper trains a model for the first step; here a chat model is asked, with examples.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.errors import RecipeError
from streamgen.generate._backtranslate_prompts import SCALE, Pair, Wording, asking, grading, own_words
from streamgen.generate._refusals import empty_or_refused, has_changed_script
from streamgen.generate._seed_tasks import read_seeds
from streamgen.generate._tasks import is_task
from streamgen.generate.calling import SamplingSettings, Share, answered, sampling
from streamgen.llm.retry import PAID, CallError
from streamgen.llm.structured import Unfit
from streamgen.quality._judge_prompts import schema_of
from streamgen.quality.boilerplate import echoed
from streamgen.quality.length import outside
from streamgen.record import Record
from streamgen.settings import FilePath
from streamgen.text import text_of, words

_LABEL = re.compile(
    r"\A\W{0,8}(?:(?:the )?(?:user(?:['’]s)? )?(?:request|instruction|question|prompt|task|query)|user)\W{0,3}:\s*",
    re.IGNORECASE,
)
_REASON = 500  # characters that are kept


class BacktranslateSettings(SamplingSettings, frozen=True, kw_only=True):
    """The instruction for the text of `column` goes to `instruction`; the text stays what it is, the answer.

    `examples` is a file of seed tasks (JSONL with `instruction` and `output`), of which `shots` are shown. A text has
    `min_words` and at most `max_characters`, an instruction at most `max_words`. Of its runs of five words, at most the
    share `max_echo` may stand in the text, or in the prompt. With `like_a_task` it has to ask for something, as can be
    told in English. With `curate` the pair is graded from 1 to 5, at
    `judge_temperature`, and kept from `min_score` on; one without a usable grade is dropped as `unscored`. `wording`
    holds the prompts.
    """

    column: str = "text"
    instruction: str = "instruction"
    examples: FilePath | None = None
    shots: Annotated[int, Meta(ge=0, le=20)] = 3
    min_words: Annotated[int, Meta(ge=1)] = 20
    max_characters: Annotated[int, Meta(ge=100, le=500_000)] = 8_000
    max_words: Annotated[int, Meta(ge=3)] = 150
    max_echo: Share = 0.5
    like_a_task: bool = False
    curate: bool = True
    min_score: Annotated[int, Meta(ge=1, le=5)] = 4
    judge_temperature: Annotated[float, Meta(ge=0.0, le=2.0)] = 0.0
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError for a wrong wording, for examples that cannot be read, and for columns that are one."""
        self.wording.check()
        if self.instruction == self.column:
            raise ValueError(f"instruction: the column {self.column!r} holds the text; name another one")
        try:
            _pairs(self.examples)
        except RecipeError as error:
            raise ValueError(f"examples: {error}") from None

    def reads(self) -> frozenset[str]:
        """The text."""
        return frozenset({self.column})

    def writes(self) -> frozenset[str]:
        """The instruction."""
        return frozenset({self.instruction})


async def backtranslate(record: Record, context: Context[BacktranslateSettings]) -> Result:
    """The record with the instruction that its text answers; its grade is a score, the reason for it a verdict.

    Drops before anything is asked: empty, too_short, too_long. For the instruction: truncated, no_content, refusal,
    leaked_prompt, echo, other_language, long_instruction, not_a_task. For the pair: unscored, low_score.
    """
    settings = context.settings
    text = text_of(record, settings.column, context.stage).strip()
    if reason := _unfit(text, settings):
        return Drop(reason)
    pairs = _pairs(settings.examples)
    shown = context.rng.sample(pairs, min(settings.shots, len(pairs)))
    response = await answered(context.chat(settings.model, asking(text, shown, settings.wording), **sampling(context)))
    instruction = bare(response.text)
    cut = "truncated" if response.finish_reason == "length" else None
    if reason := cut or fault(instruction, text, settings):
        return Drop(reason)
    made = record.with_columns({settings.instruction: instruction})
    return await _curated(made, Pair(instruction, text), context) if settings.curate else made


async def _curated(record: Record, pair: Pair, context: Context[BacktranslateSettings]) -> Result:
    """The record with its grade, where that is good enough."""
    settings, stage = context.settings, context.stage
    asked = grading(pair, settings.wording)
    parameters = {**sampling(context), "temperature": settings.judge_temperature}
    try:
        graded = await context.structured(settings.model, asked, schema_of(*SCALE, ()), **parameters)
    except Unfit:
        return Drop("unscored")
    except CallError as error:
        if error.kind not in PAID:
            raise
        return Drop("unscored")
    if graded.value["score"] < settings.min_score:
        return Drop("low_score")
    verdicts = {**record.meta.verdicts, stage: graded.value["reason"].strip()[:_REASON]}
    return record.with_meta(verdicts=verdicts).scored(stage, float(graded.value["score"]))


def bare(answer: str) -> str:
    """The instruction without a label in front of it, or tags or quotes around it.

    >>> bare('**Request:** "Name three rivers."'), bare("<request>Name three rivers.</request>")
    ('Name three rivers.', 'Name three rivers.')
    """
    text = re.sub(r"\A<(\w{1,20})>|</\w{1,20}>\Z", "", answer.strip()).strip()
    text = _LABEL.sub("", text, count=1).lstrip("*").strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1] else text


def fault(instruction: str, text: str, settings: BacktranslateSettings) -> str | None:
    """The first rule that an instruction for this text breaks, or None."""
    if reason := empty_or_refused(instruction):
        return reason
    if len(words(instruction)) > settings.max_words:
        return "long_instruction"
    if echoed(instruction, own_words(settings.wording.ask)) > settings.max_echo:
        return "leaked_prompt"
    if echoed(instruction, text) > settings.max_echo:
        return "echo"
    if has_changed_script(instruction, text):
        return "other_language"
    return "not_a_task" if settings.like_a_task and not is_task(instruction) else None


def _unfit(text: str, settings: BacktranslateSettings) -> str | None:
    if not text:
        return "empty"
    if len(text) > settings.max_characters:
        return "too_long"
    return outside(len(words(text)), settings.min_words, settings.max_characters)


@lru_cache(maxsize=32)
def _pairs(path: str | None) -> tuple[Pair, ...]:
    """The seed tasks without an input, which would have to stand in the instruction."""
    if path is None:
        return ()
    tasks = (seed.task for seed in read_seeds(path))
    pairs = tuple(Pair(task.instruction, task.output) for task in tasks if not task.input)
    if not pairs:
        raise RecipeError(f"{path} holds no seed without an input; only such ones can be shown")
    return pairs
