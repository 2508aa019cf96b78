"""Instructions out of nothing but a chat model's own template: Magpie (Xu et al. 2024, arXiv 2406.08464).

A model that was tuned to converse, and is given all that stands before a user's turn, writes the user's turn.
The answer is asked for in the same raw form, and further turns in the same way. It needs an endpoint that continues raw
prompts, as vLLM, llama.cpp and the local model do.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._chat_forms import FORMS, ChatForm, FormName
from streamgen.generate._refusals import empty_or_refused, has_changed_script, is_refusal
from streamgen.generate.calling import SamplingSettings, answered, sampling
from streamgen.generate.chat import check_prompt
from streamgen.llm.model import Message, Response
from streamgen.llm.prompt import compile_prompt
from streamgen.quality.boilerplate import echoed
from streamgen.quality.length import outside
from streamgen.record import Record
from streamgen.text import words

_COPIED = 0.5  # share of runs of five words that an instruction may have in common with the system prompt


class MagpieSettings(SamplingSettings, frozen=True, kw_only=True):
    """`form` is how the model writes turns down: the name of a known one, or a table of its own marks.

    `system` is a template over the columns; it leads to a field or a language, as in the authors' code. The record
    gets the columns `instruction` and `output`; with more than one of `turns` the column `messages`. The stage's own
    sampling is that of instructions, which should vary; answers are drawn at `answer_temperature` and are cut at
    `answer_max_tokens`. With `answer = "chat"` the chat endpoint answers, with "none" nobody does. Instructions have
    `min_words` to `max_words`. `cut` says what becomes of an answer that was cut.
    """

    form: FormName | ChatForm = "chatml"
    system: str | None = None
    turns: Annotated[int, Meta(ge=1, le=20)] = 1
    answer: Literal["complete", "chat", "none"] = "complete"
    answer_temperature: Annotated[float, Meta(ge=0.0, le=2.0)] = 0.0
    answer_max_tokens: Annotated[int, Meta(ge=1)] | None = None
    min_words: Annotated[int, Meta(ge=1)] = 3
    max_words: Annotated[int, Meta(ge=1)] = 300
    cut: Literal["keep", "drop"] = "drop"

    def check(self) -> None:
        """Raise ValueError for what does not go together, and a system prompt that is no template or has no place."""
        check_prompt("system", self.system or "")
        if self.min_words > self.max_words:
            raise ValueError(f"min_words: {self.min_words} is above max_words = {self.max_words}")
        if self.system is not None and self.marks().system is None:
            raise ValueError("system: the chat form has no turn for it; leave it out, or give the form a `system`")
        if self.answer == "none" and self.turns > 1:
            raise ValueError('turns: more than one needs answers between them; `answer` is "none"')

    def marks(self) -> ChatForm:
        """The chat form itself."""
        return self.form if isinstance(self.form, ChatForm) else FORMS[self.form]

    def reads(self) -> frozenset[str]:
        """The columns of the system prompt."""
        return compile_prompt(self.system or "").columns

    def writes(self) -> frozenset[str]:
        """The conversation, as one column or as two."""
        if self.turns > 1:
            return frozenset({"messages"})
        return frozenset({"instruction"} if self.answer == "none" else {"instruction", "output"})


class _Turn(NamedTuple):
    text: str
    fault: str | None = None


async def magpie(record: Record, context: Context[MagpieSettings]) -> Result:
    """The record with an instruction that the model made up, and its answer; or with a conversation.

    A drop has the reason of the first turn that failed: no_content, refusal, too_short, too_long, leaked_template,
    echo (of the system prompt), truncated, and for a later turn also repeated or other_language.
    """
    settings = context.settings
    messages: list[Message] = []
    if settings.system is not None:
        messages.append(Message("system", compile_prompt(settings.system).render(record.columns)))
    for _ in range(settings.turns):
        asked = await _asked(context, messages)
        if asked.fault:
            return Drop(asked.fault)
        messages.append(Message("user", asked.text))
        if settings.answer == "none":
            return record.with_columns(instruction=asked.text)
        answer = await _answer(context, messages)
        if answer.fault:
            return Drop(answer.fault)
        messages.append(Message("assistant", answer.text))
    if settings.turns > 1:
        return record.with_columns(messages=[{"role": turn.role, "content": turn.content} for turn in messages])
    return record.with_columns(instruction=messages[-2].content, output=messages[-1].content)


async def _asked(context: Context[MagpieSettings], messages: list[Message]) -> _Turn:
    """The user's next turn, which the model writes as if it were the user."""
    settings, form = context.settings, context.settings.marks()
    parameters = {"stop": (form.end,), **sampling(context)}
    response = await answered(context.complete(settings.model, form.opened(messages, "user"), **parameters))
    text = response.text.strip()
    return _Turn(text, _cut(response) or instruction_fault(text, messages, settings))


async def _answer(context: Context[MagpieSettings], messages: list[Message]) -> _Turn:
    settings, form = context.settings, context.settings.marks()
    own = {"temperature": settings.answer_temperature, "max_tokens": settings.answer_max_tokens}
    parameters = {**sampling(context), **{name: value for name, value in own.items() if value is not None}}
    if settings.answer == "chat":
        response = await answered(context.chat(settings.model, messages, **parameters))
    else:
        prompt = form.opened(messages, "assistant")
        parameters = {"stop": (form.end,), **parameters}
        response = await answered(context.complete(settings.model, prompt, **parameters))
    text = response.text.strip()
    cut = _cut(response) if settings.cut == "drop" else None
    return _Turn(text, cut or _leak(text, form) or _answer_fault(text))


def instruction_fault(text: str, messages: list[Message], settings: MagpieSettings) -> str | None:
    """The first rule that a user's turn breaks, or None; `messages` stand before it."""
    found = words(text)
    if reason := _leak(text, settings.marks()) or empty_or_refused(text):
        return reason
    if reason := outside(len(found), settings.min_words, settings.max_words):
        return reason
    if messages and messages[0].role == "system" and echoed(text, messages[0].content) > _COPIED:
        return "echo"
    earlier = [turn.content for turn in messages if turn.role != "system"]
    if any(found == words(turn) for turn in earlier):
        return "repeated"
    return "other_language" if earlier and has_changed_script(text, earlier[0]) else None


def _answer_fault(text: str) -> str | None:
    """Unlike an instruction, an answer may be a "yes"."""
    if not text:
        return "no_content"
    return "refusal" if is_refusal(text, len(words(text))) else None


def _leak(text: str, form: ChatForm) -> str | None:
    return "leaked_template" if any(mark in text for mark in form.marks()) else None


def _cut(response: Response) -> str | None:
    return "truncated" if response.finish_reason == "length" else None
