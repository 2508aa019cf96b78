"""New tasks from seed tasks: Self-Instruct (Wang et al. 2023, arXiv 2212.10560), one task a ticket.

As in the paper a new instruction is asked for with instructions of people and of the model in the context, and sifted
by form and by ROUGE-L against all there are before anything else is paid for. Then the model says whether it is a task
of classification, and gives it an input and an output: the output first where it is one, so that no label is favoured.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from streamgen.context import Context
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
from streamgen.generate._instances import Instance, Sifted, read_instances
from streamgen.generate._instructions import fault, first_instruction, is_cut
from streamgen.generate._seed_tasks import Seed, Task, read_seeds
from streamgen.generate._self_instruct_prompts import (
    input_first_prompt,
    instruction_prompt,
    kind_prompt,
    output_first_prompt,
    structured_prompt,
)
from streamgen.generate.calling import answered, sampling
from streamgen.generate.self_instruct_settings import SelfInstructSettings
from streamgen.llm.model import Response
from streamgen.quality.rouge import RougePool
from streamgen.record import Record
from streamgen.text import words

__all__ = ["SelfInstruct", "SelfInstructSettings"]


class SelfInstruct:
    """Sets `instruction`, `input` and `output`, or drops the ticket for the first rule that it breaks.

    What stands in a prompt is drawn by the ticket's own generator, but from a pool that other tickets fill as they
    come: with several calls in flight the same seed does not give the same prompts. A resumed run is safe all the
    same, since calls that were paid are answered from the journal, whatever their prompt. An instruction joins the
    pool as soon as it is found novel, so that two tickets in flight cannot both have it, and stays there if its record
    is dropped later, also over a resume.
    """

    def __init__(self, settings: SelfInstructSettings) -> None:
        self._seeds = read_seeds(settings.seeds)
        self._made: list[str] = []
        self.keep: Keep = forget
        self._own: dict[str, str] = {}  # a record that was cut off comes again, and is no copy of itself
        self._pool = RougePool()
        for seed in self._seeds:
            self._pool.add(seed.task.instruction)

    async def __call__(self, record: Record, context: Context[SelfInstructSettings]) -> Result:
        """The record with a new task, or several.

        Drops an instruction as empty, refusal, too_short, too_long, banned, punctuation, non_english, truncated or
        not_novel, and one without a usable instance as malformed, no_output, output_is_input, unfinished, refusal,
        contradictory, echo or truncated.
        """
        settings = context.settings
        shown = self._shown(settings, context.rng)
        response = await _ask(context, instruction_prompt(settings.wording, shown, settings.method), ("\n",))
        instruction = first_instruction(response)
        if self._own.get(record.id) != instruction:
            if reason := self._reason(response, instruction, settings):
                return Drop(reason)
            self._add(instruction)
            self.keep(record.id, instruction.encode("utf-8", "surrogatepass"))
        if settings.schema is not None:
            return await _structured(record, context, self._examples(context, any_kind=True), instruction)
        return await self._completed(record, context, instruction)

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
        shown = made + [seed.task.instruction for seed in _drawn(self._seeds, wanted, rng)]
        rng.shuffle(shown)
        return shown

    def _reason(self, response: Response, instruction: str, settings: SelfInstructSettings) -> str | None:
        """Why the instruction is not taken, None where it is."""
        if reason := fault(instruction, settings):
            return reason
        if is_cut(response):
            return "truncated"
        return "not_novel" if self._pool.greatest(instruction, settings.threshold) >= settings.threshold else None

    async def _completed(
        self, record: Record, context: Context[SelfInstructSettings], instruction: str
    ) -> Record | list[Record] | Drop:
        settings = context.settings
        output_first = settings.order == "output_first"
        if settings.order == "by_kind":
            output_first = await self._is_classification(context, instruction)
            kind = "classification" if output_first else "generation"
            record = record.with_meta(verdicts={**record.meta.verdicts, context.stage: kind})
        found = await self._instances(context, instruction, output_first)
        if not found.instances:
            return Drop(found.reasons[0])
        most = min(settings.most_instances, len(found.instances))
        taken = context.rng.sample(found.instances, most)
        records = [record.with_columns({"instruction": instruction, **instance._asdict()}) for instance in taken]
        return records[0] if settings.most_instances == 1 else records

    async def _is_classification(self, context: Context[SelfInstructSettings], instruction: str) -> bool:
        """Whether the model says so; any answer but yes means no, as in the authors' code."""
        settings = context.settings
        wanted = settings.kind_examples
        examples = [
            seed
            for kind in (True, False)
            for seed in _drawn([seed for seed in self._seeds if seed.is_classification is kind], wanted, context.rng)
        ]
        context.rng.shuffle(examples)
        prompt = kind_prompt(settings.wording, examples, instruction, settings.method)
        response = await _ask(context, prompt, ("\n",), max_tokens=8)
        return words(response.text[:100])[:1] == ["yes"]

    async def _instances(self, context: Context[SelfInstructSettings], instruction: str, output_first: bool) -> Sifted:
        settings = context.settings
        examples = self._examples(context, output_first)
        prompt = output_first_prompt if output_first else input_first_prompt
        response = await _ask(context, prompt(settings.wording, examples, instruction, settings.method), ("\nTask:",))
        found = read_instances(
            response.text,
            output_first=output_first,
            begun=settings.method == "completion",
            cut=response.finish_reason == "length",
        )
        return _without_echoes(found, examples)

    def _examples(
        self, context: Context[SelfInstructSettings], output_first: bool = False, *, any_kind: bool = False
    ) -> list[Task]:
        """Seeds for the instance's prompt: of classification where the output comes first, else of all others."""
        fitting = [seed for seed in self._seeds if any_kind or (seed.is_classification or False) is output_first]
        return [seed.task for seed in _drawn(fitting or self._seeds, context.settings.instances, context.rng)]


def _drawn(seeds: Sequence[Seed], wanted: int, rng: Random) -> list[Seed]:
    return rng.sample(seeds, min(wanted, len(seeds)))


def _without_echoes(found: Sifted, examples: Sequence[Task]) -> Sifted:
    """Without the instances that repeat one of the prompt."""
    shown = {Instance(task.input, task.output) for task in examples}
    kept = [instance for instance in found.instances if instance not in shown]
    return Sifted(kept, found.reasons if len(kept) == len(found.instances) else [*found.reasons, "echo"])


async def _ask(context: Context[SelfInstructSettings], prompt: str, stop: tuple[str, ...], **more: int) -> Response:
    """The answer; `more` goes before the settings, as a short answer needs no more than that."""
    settings = context.settings
    if settings.method == "chat":
        return await answered(context.chat(settings.model, prompt, **{**sampling(context), **more}))
    return await answered(context.complete(settings.model, prompt, **{"stop": stop, **sampling(context), **more}))


async def _structured(
    record: Record, context: Context[SelfInstructSettings], examples: Sequence[Task], instruction: str
) -> Result:
    from streamgen.llm.structured import CutUnfit

    settings = context.settings
    assert settings.schema is not None
    prompt = structured_prompt(settings.wording, examples, instruction)
    try:
        answer = await context.structured(settings.model, prompt, settings.schema, **sampling(context))
    except CutUnfit:
        return Drop("truncated")
    return record.with_columns({**answer.value, "instruction": instruction})
