"""New tasks from seed tasks: Self-Instruct (Wang et al. 2023, arXiv 2212.10560), one task a ticket.

As in the paper a new instruction is asked for with instructions of people and of the model in the context, sifted by
form and by ROUGE-L against all there are, and then given an input and an output. Unlike there, the input always comes
first: the paper's other order, for classification tasks only, keeps a model from favouring one label.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
from streamgen.errors import RecipeError
from streamgen.generate.calling import CallingSettings, sampling
from streamgen.llm.model import Response
from streamgen.quality.length import outside
from streamgen.quality.rouge import RougePool
from streamgen.record import Record
from streamgen.settings import FilePath
from streamgen.text import words

# What a language model cannot see or do, from the paper's list.
BANNED = ("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot")

_NEXT_ITEM = re.compile(r"\n\s*\d+\s*[.)]\s")
_PREAMBLE = re.compile(r"\A\s*(?:sure|here|certainly|of course|ok(?:ay)?|absolutely)\b[^\n]*\n+", re.IGNORECASE)
_LEAD = re.compile(r"\A\s*(?:\d+\s*[.):]\s*)?(?:\W*(?:new\s+)?(?:task|instruction)\s*\d*\**\s*:[\s*]*)?", re.IGNORECASE)
_INSTANCE = re.compile(r"\A\s*(?:Input:)?(.*?)^\s*Output:(.*)\Z", re.DOTALL | re.MULTILINE | re.IGNORECASE)
_NEXT_TASK = re.compile(r"\n\s*(?:Task|Instruction):", re.IGNORECASE)
_NEXT_INPUT = re.compile(r"\n\s*Input:", re.IGNORECASE)
_NO_INPUT = re.compile(r"[<(\[]?\s*(?:no ?input|none|n/?a|empty)?\s*[>)\]]?\.?", re.IGNORECASE)


class Task(NamedTuple):
    """An instruction with an input, which may be empty, and the output that fits."""

    instruction: str
    input: str
    output: str


class SelfInstructSettings(CallingSettings, frozen=True, kw_only=True):
    """`seeds` is a JSONL file with `instruction` and `input`, `output` (or `instances`, a list of these) a line.

    `method` "completion" continues a raw list, as the paper did with a model that was not tuned; "chat" asks for it.
    `from_seeds` and `from_pool` instructions stand in the context, and `instances` seeds when the output is made.
    With a `schema` of an object (method "chat") its properties are asked for, and become columns, in place of input and
    output.
    """

    seeds: FilePath
    method: Literal["chat", "completion"] = "chat"
    from_seeds: Annotated[int, Meta(ge=1, le=50)] = 6
    from_pool: Annotated[int, Meta(ge=0, le=50)] = 2
    instances: Annotated[int, Meta(ge=1, le=20)] = 3
    threshold: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.7
    min_words: Annotated[int, Meta(ge=1)] = 4
    max_words: Annotated[int, Meta(ge=1)] = 150
    banned: tuple[str, ...] = BANNED
    banned_starts: tuple[str, ...] = ("write a program",)

    def check(self) -> None:
        """Raise ValueError for seeds that cannot be read and for bounds that nothing passes."""
        if self.min_words > self.max_words:
            raise ValueError(f"min_words: {self.min_words} is above max_words = {self.max_words}")
        self.check_columns()
        if self.schema is not None and (self.method != "chat" or "instruction" in self.properties()):
            raise ValueError('schema: it goes with method = "chat", and has no property `instruction`')
        try:
            read_tasks(self.seeds)
        except RecipeError as error:
            raise ValueError(f"seeds: {error}") from None

    def writes(self) -> frozenset[str]:
        """The columns of a task."""
        return frozenset(Task._fields) if self.schema is None else self.properties() | {"instruction"}


class SelfInstruct:
    """Sets `instruction`, `input` and `output`, or drops the ticket for the first rule that it breaks.

    What stands in a prompt is drawn by the ticket's own generator, but from a pool that other tickets fill as they
    come: with several calls in flight the same seed does not give the same prompts. A resumed run is safe all the
    same, since calls that were paid are answered from the journal, whatever their prompt. An instruction joins the
    pool as soon as it is found novel, so that two tickets in flight cannot both have it, and stays there if its record
    is dropped later, also over a resume.
    """

    def __init__(self, settings: SelfInstructSettings) -> None:
        self._seeds = read_tasks(settings.seeds)
        self._made: list[str] = []
        self.keep: Keep = forget
        self._own: dict[str, str] = {}  # a record that was cut off comes again, and is no copy of itself
        self._pool = RougePool()
        for task in self._seeds:
            self._pool.add(task.instruction)

    async def __call__(self, record: Record, context: Context[SelfInstructSettings]) -> Result:
        """The record with a new task. Drops: too_short, too_long, banned, truncated, not_novel, malformed."""
        shown = self._shown(context.settings, context.rng)
        response = await _ask(
            context, instruction_prompt(shown, context.settings.method), ("\n\n", f"\n{len(shown) + 2}.")
        )
        instruction = first_instruction(response)
        if self._own.get(record.id) != instruction:
            if reason := self._reason(response, instruction, context.settings):
                return Drop(reason)
            self._add(instruction)
            self.keep(record.id, instruction.encode("utf-8", "surrogatepass"))
        examples = context.rng.sample(self._seeds, min(context.settings.instances, len(self._seeds)))
        if context.settings.schema is not None:
            return await _structured(record, context, examples, instruction)
        response = await _ask(context, instance_prompt(examples, instruction, context.settings.method), ("\nTask:",))
        if response.finish_reason == "length":
            return Drop("truncated")
        task = instance(instruction, response.text)
        return record.with_columns(task._asdict()) if task else Drop("malformed")

    def recall(self, memories: Sequence[Memory]) -> None:
        """Take the instructions of earlier sessions into the pool."""
        for memory in memories:
            instruction = memory.body.decode("utf-8", "surrogatepass")
            self._add(instruction)
            if memory.record is not None:
                self._own[memory.record] = instruction

    def __repr__(self) -> str:
        return f"<SelfInstruct from {len(self._seeds)} seeds, {len(self._made)} made>"

    def _add(self, instruction: str) -> None:
        self._made.append(instruction)
        self._pool.add(instruction)

    def _shown(self, settings: SelfInstructSettings, rng: Random) -> list[str]:
        """The instructions of a prompt; seeds stand in where the pool is not yet filled, as in the paper."""
        made = rng.sample(self._made, min(settings.from_pool, len(self._made)))
        wanted = settings.from_seeds + settings.from_pool - len(made)
        shown = made + [task.instruction for task in rng.sample(self._seeds, min(wanted, len(self._seeds)))]
        rng.shuffle(shown)
        return shown

    def _reason(self, response: Response, instruction: str, settings: SelfInstructSettings) -> str | None:
        """Why the instruction is not taken, None where it is."""
        if reason := fault(instruction, settings):
            return reason
        if response.finish_reason == "length" and not _NEXT_ITEM.search(response.text):
            return "truncated"
        return "not_novel" if self._pool.greatest(instruction, settings.threshold) >= settings.threshold else None


async def _ask(context: Context[SelfInstructSettings], prompt: str, stop: tuple[str, ...]) -> Response:
    settings = context.settings
    if settings.method == "chat":
        return await context.chat(settings.model, prompt, **sampling(context))
    return await context.complete(settings.model, prompt, **{"stop": stop, **sampling(context)})


async def _structured(
    record: Record, context: Context[SelfInstructSettings], examples: Sequence[Task], instruction: str
) -> Result:
    from streamgen.llm.structured import CutUnfit

    settings = context.settings
    assert settings.schema is not None
    prompt = f"{_worked(examples)}Task: {instruction}\n\nGive what belongs to the last task, as JSON."
    try:
        answer = await context.structured(settings.model, prompt, settings.schema, **sampling(context))
    except CutUnfit:
        return Drop("truncated")
    return record.with_columns({**answer.value, "instruction": instruction})


def _worked(examples: Sequence[Task]) -> str:
    return "".join(
        f"Task: {task.instruction}\nInput: {task.input or '(none)'}\nOutput: {task.output}\n\n" for task in examples
    )


def instruction_prompt(shown: Sequence[str], method: str) -> str:
    """A numbered list of tasks that wants to be continued."""
    listed = "".join(f"{number}. {' '.join(text.split())}\n" for number, text in enumerate(shown, 1))
    if method == "completion":
        return f"A list of varied tasks for a language model:\n{listed}{len(shown) + 1}."
    return (
        f"Here are tasks that were given to a language model:\n{listed}\n"
        "Write one more task of another kind, which can be solved with text alone. Answer with the task only."
    )


def instance_prompt(examples: Sequence[Task], instruction: str, method: str) -> str:
    """Worked tasks, and the new one without its input and output."""
    shown = _worked(examples)
    if method == "completion":
        return (
            f"Each task with an input, where it needs one, and the right output.\n\n{shown}Task: {instruction}\nInput:"
        )
    return (
        f"Each task below has an input, where it needs one, and the right output.\n\n{shown}Task: {instruction}\n\n"
        "Complete the last task in the same form: a line `Input: ...`, or `Input: (none)`, and then `Output: ...`."
    )


def first_instruction(response: Response) -> str:
    """The first task that was written, in one line."""
    text = _PREAMBLE.sub("", response.text)
    return " ".join(_LEAD.sub("", _NEXT_ITEM.split(text.lstrip())[0]).split())


def fault(instruction: str, settings: SelfInstructSettings) -> str | None:
    """The rule of form that an instruction breaks, or None.

    >>> fault("Draw a map of the moon", SelfInstructSettings(model="m", seeds="s.jsonl"))
    'banned'
    """
    found = words(instruction)
    if reason := outside(len(found), settings.min_words, settings.max_words):
        return reason
    text = f" {' '.join(found)} "
    if any(f" {' '.join(words(phrase))} " in text for phrase in settings.banned):
        return "banned"
    if any(text.startswith(f" {' '.join(words(start))} ") for start in settings.banned_starts):
        return "banned"
    return "malformed" if instruction[0] in string.punctuation else None


def instance(instruction: str, text: str) -> Task | None:
    """The task with the input and the output that were written; None where there is no output, or it is the input."""
    match = _INSTANCE.match(_NEXT_TASK.split(text)[0])
    if match is None:
        return None
    given, output = match[1].strip(), _NEXT_INPUT.split(match[2])[0].strip()
    given = "" if _NO_INPUT.fullmatch(given) else given
    return Task(instruction, given, output) if output not in ("", "(none)", given) else None


@lru_cache(maxsize=32)
def read_tasks(path: str) -> tuple[Task, ...]:
    """The tasks of a JSONL file, in order. Raises RecipeError, naming the line."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise RecipeError(f"the seeds {path} cannot be read: {error.strerror}") from error
    tasks = tuple(_task(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip())
    if not tasks:
        raise RecipeError(f"{path} holds no seeds: give at least one JSON line with `instruction` and `output`")
    return tasks


class _Instance(msgspec.Struct):
    output: str
    input: str = ""


class _Line(msgspec.Struct):
    instruction: Annotated[str, Meta(min_length=1)]
    input: str = ""
    output: str = ""
    instances: list[_Instance] = []


_decoder = msgspec.json.Decoder(_Line)


def _task(line: bytes, where: str) -> Task:
    try:
        row = _decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise RecipeError(f"{where} is no seed task: {error}") from error
    first = row.instances[0] if row.instances else _Instance(row.output, row.input)
    if not first.output.strip():
        raise RecipeError(f"{where} lacks an output; every seed needs `instruction` and `output`, or `instances`")
    return Task(row.instruction.strip(), first.input.strip(), first.output.strip())
