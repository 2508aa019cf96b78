"""Harder and rarer instructions out of simple ones: Evol-Instruct (Xu et al. 2023, arXiv 2304.12244)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._evol_instruct_prompts import (
    Operation,
    Wording,
    evolving_prompt,
    judging_prompt,
    own_words,
)
from streamgen.generate._evolution_faults import answer_fault, fault
from streamgen.generate.calling import CallingSettings, Share, answered, sampling
from streamgen.llm.model import Response
from streamgen.record import Columns, Record, Value
from streamgen.text import text_of, words

_LABEL = re.compile(
    r"\A[\W\d]{0,8}(?:new (?:version|task)|rewritten (?:prompt|task)|created prompt|task)[^\S\n]*\W{0,3}[:\]][\s*#]*",
    re.IGNORECASE,
)
_TRAILER = re.compile(r"\s\[(?:new (?:version|task)|end|task)\]\s*\Z", re.IGNORECASE)
_LONGEST_ANSWER = 20_000  # characters in which a label is looked for


class EvolInstructSettings(CallingSettings, frozen=True, kw_only=True):
    """`rounds` times one of the `operations`, drawn with equal chances, rewrites the column `instruction`.

    With `answer`, a column, each new instruction is answered too, and a refused or empty answer eliminates it, as in
    the paper; with a `schema` the answer has to fit that, and the column gets the parsed value. With `judge` the model
    is also asked whether anything was gained. Each is one more call a round.

    A round fails too where a rewriting in depth adds more than `most_added` words (input data apart), or keeps less
    than the share `least_kept` of the words that a long instruction is made of, or with `like_a_task` where it asks for
    nothing that could be told, and the instruction before did (in English). `wording` holds the prompts.
    """

    instruction: str = "instruction"
    rounds: Annotated[int, Meta(ge=1, le=20)] = 4
    operations: Annotated[tuple[Operation, ...], Meta(min_length=1)] = get_args(Operation)
    answer: str | None = None
    judge: bool = False
    most_added: Annotated[int, Meta(ge=0)] = 60
    least_kept: Share = 0.2
    like_a_task: bool = True
    failed: Literal["drop", "keep"] = "drop"
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError where the answer would take the instruction's place, or there is a schema for none."""
        self.check_schema()
        self.wording.check()
        if self.schema is not None and self.answer is None:
            raise ValueError('schema: it is the answer\'s; name the column that gets it: answer = "output"')
        if self.answer == self.instruction:
            raise ValueError(f"answer: the column {self.answer!r} holds the instruction; name another one")

    def reads(self) -> frozenset[str]:
        """The instruction."""
        return frozenset({self.instruction})

    def writes(self) -> frozenset[str]:
        """The answer, where one is asked for."""
        return frozenset({self.answer} if self.answer else ())


async def evol_instruct(record: Record, context: Context[EvolInstructSettings]) -> Result:
    """The record with its instruction evolved. A round that fails leaves the instruction as it was.

    The record's verdict under the stage's name tells the rounds: "deepen, breadth (refusal), reasoning". When every
    round failed, the record is dropped for the first one's reason, or kept as it came with `failed = "keep"`.
    """
    settings = context.settings
    instruction = text_of(record, settings.instruction, context.stage).strip()
    if not instruction:
        return Drop("empty")
    columns: Columns = {}
    rounds: list[str] = []
    reasons: list[str] = []
    for _ in range(settings.rounds):
        operation = context.rng.choice(settings.operations)
        new, reason = await _round(context, operation, instruction)
        rounds.append(f"{operation} ({reason})" if reason else operation)
        if reason:
            reasons.append(reason)
        else:
            columns.update(new)
            instruction = new[settings.instruction]
    if not columns and settings.failed == "drop":
        return Drop(reasons[0])
    return record.with_columns(columns).with_meta(verdicts={**record.meta.verdicts, context.stage: ", ".join(rounds)})


async def _round(
    context: Context[EvolInstructSettings], operation: Operation, instruction: str
) -> tuple[Columns, str | None]:
    """The new columns, and the reason why they must not be used, if there is one."""
    settings = context.settings
    response = await _ask(context, evolving_prompt(settings.wording, operation, instruction))
    evolved = bare(response.text)
    asked = own_words(settings.wording, operation)
    if reason := _cut(response) or fault(evolved, instruction, operation, asked, settings):
        return {}, reason
    if settings.judge and not await _gained(context, instruction, evolved):
        return {}, "no_gain"
    if settings.answer is None:
        return {settings.instruction: evolved}, None
    answer, reason = await _answer(context, evolved)
    return {settings.instruction: evolved, settings.answer: answer}, reason


async def _answer(context: Context[EvolInstructSettings], instruction: str) -> tuple[Value, str | None]:
    """The answer, and why it must not be used."""
    schema = context.settings.schema
    if schema is None:
        response = await _ask(context, instruction)
        return response.text.strip(), _cut(response) or answer_fault(response.text)
    from streamgen.llm.structured import Unfit

    try:
        answer = await context.structured(context.settings.model, instruction, schema, **sampling(context))
    except Unfit:
        return None, "unfit"
    return answer.value, _cut(answer.response)


async def _ask(context: Context[EvolInstructSettings], prompt: str) -> Response:
    return await answered(context.chat(context.settings.model, prompt, **sampling(context)))


async def _gained(context: Context[EvolInstructSettings], instruction: str, evolved: str) -> bool:
    response = await _ask(context, judging_prompt(context.settings.wording, instruction, evolved))
    return words(response.text[:100])[:1] != ["same"]


def _cut(response: Response) -> str | None:
    return "truncated" if response.finish_reason == "length" else None


def bare(text: str) -> str:
    """The instruction without a label in front of it, one behind it, or quotes around it.

    >>> bare('New version: "Name three rivers."'), bare("[TASK]\\nName three rivers.\\n\\n[NEW VERSION]")
    ('Name three rivers.', 'Name three rivers.')
    """
    text = text.strip()
    if len(text) <= _LONGEST_ANSWER:
        text = _TRAILER.sub("", _LABEL.sub("", text, count=1)).strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1] else text
