"""Harder and rarer instructions out of simple ones: Evol-Instruct (Xu et al. 2023, arXiv 2304.12244)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate.calling import CallingSettings, sampling
from streamgen.llm.model import Response
from streamgen.record import Columns, Record, Value
from streamgen.text import text_of, words

Operation: TypeAlias = Literal["constraints", "deepen", "concretise", "reasoning", "complicate_input", "breadth"]

IN_DEPTH: Mapping[str, str] = {
    "constraints": "Add one more requirement or limit that the answer must respect.",
    "deepen": "Where it asks about something, ask about it more deeply and more widely.",
    "concretise": "Put specific things in the place of general ones.",
    "reasoning": "Where a short thought is enough to solve it, make it need several steps of reasoning.",
    "complicate_input": "Add input data that the answer must use: a table, code, JSON, a formula or a passage of text.",
}
_REWRITE = """Make the task below somewhat harder for a capable AI system, in this way:
{how}
People must still understand it and be able to answer it. Keep everything that it gives: data, tables, code. Add at \
most 20 words, apart from input data. Answer with the new version only.

[TASK]
{instruction}

[NEW VERSION]"""
_CREATE = """Take the task below as an inspiration for an entirely new one, in the same field but about something less \
common, about as long and as hard. People must be able to understand and answer it. Answer with the new task only.

[TASK]
{instruction}

[NEW TASK]"""
_JUDGE = """Do these two tasks ask for the same, with the same requirements and as deeply?

[FIRST]
{instruction}

[SECOND]
{evolved}

Answer with one word, "same" or "different"."""

_LABEL = re.compile(
    r"^\W*(?:new (?:version|task)|rewritten (?:prompt|task)|created prompt|task)\W*[:\]][\s*#]*", re.IGNORECASE
)
_LEAKS = ("given prompt", "rewritten prompt", "created prompt", "new version]", "[task]", "new task]")
_REFUSAL = re.compile(
    r"\b(?:sorry|apologi[sz]e|as an ai\b|"
    r"i (?:can(?:no|['’])t|am unable to|am not able to) (?:help|assist|do|comply|fulfil|provide))",
    re.IGNORECASE,
)
_REFUSAL_WORDS = 80  # the paper's bound: a longer answer may well contain "sorry"
_STOP_WORDS = frozenset(
    words(
        "a an and are as at be but by can do for from had has have he her his i if in is it its me my no nor not of on "
        "or our she so that the their them then there these they this those to was we were what when where which who "
        "why will with you your yes ok okay please"
    )
)


class EvolInstructSettings(CallingSettings, frozen=True, kw_only=True):
    """`rounds` times one of the `operations`, drawn with equal chances, rewrites the column `instruction`.

    With `answer`, a column, each new instruction is answered too, and a refused or empty answer eliminates it, as in
    the paper; with a `schema` the answer has to fit that, and the column gets the parsed value. With `judge` the model
    is also asked whether anything was gained. Each is one more call a round.
    """

    instruction: str = "instruction"
    rounds: Annotated[int, Meta(ge=1, le=20)] = 4
    operations: Annotated[tuple[Operation, ...], Meta(min_length=1)] = get_args(Operation)
    answer: str | None = None
    judge: bool = False
    failed: Literal["drop", "keep"] = "drop"

    def check(self) -> None:
        """Raise ValueError where the answer would take the instruction's place, or there is a schema for none."""
        self.check_schema()
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
    round failed, the record is dropped as `not_evolved`, or kept as it came with `failed = "keep"`.
    """
    settings = context.settings
    instruction = text_of(record, settings.instruction, context.stage).strip()
    if not instruction:
        return Drop("empty")
    columns: Columns = {}
    rounds: list[str] = []
    for _ in range(settings.rounds):
        operation = context.rng.choice(settings.operations)
        new, reason = await _round(context, operation, instruction)
        rounds.append(f"{operation} ({reason})" if reason else operation)
        if not reason:
            columns.update(new)
            instruction = new[settings.instruction]
    if not columns and settings.failed == "drop":
        return Drop("not_evolved")
    return record.with_columns(columns).with_meta(verdicts={**record.meta.verdicts, context.stage: ", ".join(rounds)})


async def _round(
    context: Context[EvolInstructSettings], operation: Operation, instruction: str
) -> tuple[Columns, str | None]:
    """The new columns, and the reason why they must not be used, if there is one."""
    settings = context.settings
    response = await _ask(context, evolving_prompt(operation, instruction))
    evolved = bare(response.text)
    if reason := _cut(response) or fault(evolved, instruction):
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
        return response.text.strip(), _cut(response) or empty_or_refused(response.text)
    from streamgen.llm.structured import Unfit

    try:
        answer = await context.structured(context.settings.model, instruction, schema, **sampling(context))
    except Unfit:
        return None, "unfit"
    return answer.value, _cut(answer.response)


async def _ask(context: Context[EvolInstructSettings], prompt: str) -> Response:
    return await context.chat(context.settings.model, prompt, **sampling(context))


async def _gained(context: Context[EvolInstructSettings], instruction: str, evolved: str) -> bool:
    response = await _ask(context, _JUDGE.format(instruction=instruction, evolved=evolved))
    return words(response.text)[:1] != ["same"]


def _cut(response: Response) -> str | None:
    return "truncated" if response.finish_reason == "length" else None


def evolving_prompt(operation: Operation, instruction: str) -> str:
    """What the model is asked for one operation."""
    if operation == "breadth":
        return _CREATE.format(instruction=instruction)
    return _REWRITE.format(how=IN_DEPTH[operation], instruction=instruction)


def bare(text: str) -> str:
    """The instruction without a label in front of it or quotes around it.

    >>> bare('New version: "Name three rivers."')
    'Name three rivers.'
    """
    text = _LABEL.sub("", text.strip(), count=1).strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1] else text


def fault(evolved: str, instruction: str) -> str | None:
    """The rule of elimination that an evolved instruction breaks, or None.

    >>> fault("Name a river!", "name a river"), fault("I am sorry, I cannot help.", "Name a river")
    ('no_gain', 'refusal')
    """
    if words(evolved) == words(instruction):
        return "no_gain"
    before, after = instruction.casefold(), evolved.casefold()
    if any(leak in after and leak not in before for leak in _LEAKS):
        return "leaked_prompt"
    return empty_or_refused(evolved)


def empty_or_refused(text: str) -> str | None:
    """`no_content` for a text of stop words and punctuation only, `refusal` for a short one that says no, or None."""
    found = words(text)
    if _STOP_WORDS.issuperset(found):
        return "no_content"
    return "refusal" if len(found) < _REFUSAL_WORDS and _REFUSAL.search(text) else None
