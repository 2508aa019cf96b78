"""Texts under constraints that are verified: what is violated is named to the model, which writes once more.

The constraints are of the kind that IFEval verifies (Zhou et al. 2023, arXiv 2311.07911), with its two ways to count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._controlled_prompts import Wording
from streamgen.generate._refusals import is_refusal
from streamgen.generate.calling import SamplingSettings, answered, sampling
from streamgen.generate.chat import check_prompt
from streamgen.llm.model import Message
from streamgen.llm.prompt import compile_prompt
from streamgen.quality._verifiers import Outcome, verified
from streamgen.quality.constraints import Constraints, Count, marked, violated
from streamgen.record import Record
from streamgen.text import words

_COPIED = 6  # words: a name or a phrase that the prompt holds may well be the whole text


class ControlledSettings(SamplingSettings, frozen=True, kw_only=True):
    """`prompt` is a template over the columns; the sentences of the `constraints` follow it, the text goes to `output`.

    A text that violates some is shown to the model again, up to `reasks` times, with these named. All have to be met by
    the way to `count` (see the stage `constraints`); the text that meets most is the one that is judged. `wording`
    holds the prompts.
    """

    prompt: str
    constraints: Constraints
    output: str = "output"
    reasks: Annotated[int, Meta(ge=0, le=10)] = 1
    count: Count = "strict"
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError for templates and constraints that cannot be right."""
        check_prompt("prompt", self.prompt)
        self.constraints.check()
        self.wording.check()

    def reads(self) -> frozenset[str]:
        """The columns of the prompt."""
        return compile_prompt(self.prompt).columns

    def writes(self) -> frozenset[str]:
        """The text."""
        return frozenset({self.output})


class Attempt(NamedTuple):
    """A text, what became of each constraint, and those that it does not meet."""

    text: str
    outcomes: Mapping[str, Outcome]
    violated: list[str]


async def controlled(record: Record, context: Context[ControlledSettings]) -> Result:
    """The record with its text, a verdict on each constraint, and how many are met (`stage.strict`, `stage.loose`).

    Drops: `empty`, `refusal`, `echo` (the prompt, or a part of it), and `violated_` with the first constraint not met.
    """
    settings = context.settings
    prompt = compile_prompt(settings.prompt).render(record.columns)
    conversation = _opening(prompt, settings)
    best: Attempt | None = None
    for _ in range(settings.reasks + 1):
        text = (await answered(context.chat(settings.model, conversation, **sampling(context)))).text.strip()
        if useless := _useless(text, conversation, prompt):
            return Drop(useless) if best is None else Drop(f"violated_{best.violated[0]}")
        attempt = _attempt(text, settings)
        best = attempt if best is None or len(attempt.violated) < len(best.violated) else best
        if not best.violated:
            return marked(record.with_columns({settings.output: best.text}), best.outcomes, context.stage)
        conversation = [*_opening(prompt, settings), *_again(best, settings)]
    assert best is not None
    return Drop(f"violated_{best.violated[0]}")


def _opening(prompt: str, settings: ControlledSettings) -> list[Message]:
    wording, constraints = settings.wording, settings.constraints
    asked = wording.sentences_of(constraints.names(), constraints)
    system = [Message("system", compile_prompt(wording.system).render({}))] if wording.system else []
    return [*system, Message("user", compile_prompt(wording.ask).render({"prompt": prompt, "asked": asked}))]


def _again(attempt: Attempt, settings: ControlledSettings) -> list[Message]:
    sentences = settings.wording.sentences_of(attempt.violated, settings.constraints)
    asked = compile_prompt(settings.wording.again).render({"violated": sentences})
    return [Message("assistant", attempt.text), Message("user", asked)]


def _attempt(text: str, settings: ControlledSettings) -> Attempt:
    outcomes = verified(text, settings.constraints)
    return Attempt(text, outcomes, violated(outcomes, settings.count))


def _useless(text: str, conversation: list[Message], prompt: str) -> str | None:
    """Why there is nothing to verify: no text, a refusal, or what the model was asked."""
    if not text:
        return "empty"
    found = words(text)
    if is_refusal(text, len(found)):
        return "refusal"
    asked = [prompt, *(message.content for message in conversation if message.role == "user")]
    return "echo" if found and any(_repeats(found, words(each)) for each in asked) else None


def _repeats(found: list[str], asked: list[str]) -> bool:
    """Whether the words are all that was asked, or so many of it in a row that they can hardly be meant."""
    return found == asked or (len(found) >= _COPIED and f" {' '.join(found)} " in f" {' '.join(asked)} ")
