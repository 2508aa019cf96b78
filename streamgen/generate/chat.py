"""Asks a model with a prompt made of the record's columns and puts the answer into a column: the primitive."""

from __future__ import annotations

from typing import Literal

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.errors import RecipeError
from streamgen.generate.calling import CallingSettings, sampling
from streamgen.llm.model import Message
from streamgen.llm.prompt import compile_prompt
from streamgen.record import Record


class ChatSettings(CallingSettings, frozen=True, kw_only=True):
    """`prompt` and `system` are Jinja2 templates over the columns; the answer goes to the column `output`.

    With a `schema` the column gets the parsed value, or with `spread = true` each property of an object a column of
    its own. `truncated` says what becomes of an answer that was cut at `max_tokens`.
    """

    prompt: str
    system: str | None = None
    output: str = "output"
    spread: bool = False
    truncated: Literal["keep", "drop"] = "keep"

    def check(self) -> None:
        """Raise ValueError for a template or a schema that cannot be right."""
        check_prompt("prompt", self.prompt)
        check_prompt("system", self.system or "")
        self.check_schema()
        if self.spread and not self.properties():
            raise ValueError('spread: it needs a `schema` of `type = "object"` with `properties`, which become columns')

    def reads(self) -> frozenset[str]:
        """The columns of both templates."""
        return compile_prompt(self.prompt).columns | compile_prompt(self.system or "").columns

    def writes(self) -> frozenset[str]:
        """The output column, or those of the schema."""
        return self.properties() if self.spread else frozenset({self.output})


async def chat(record: Record, context: Context[ChatSettings]) -> Result:
    """The record with the model's answer, without white space around it; a drop as `empty` or `truncated`.

    Raises PromptError for a column that the record lacks, ModelError for an answer that does not fit the schema.
    """
    settings = context.settings
    messages = [Message("user", compile_prompt(settings.prompt).render(record.columns))]
    if settings.system is not None:
        messages.insert(0, Message("system", compile_prompt(settings.system).render(record.columns)))
    if settings.schema is not None:
        return await _structured(record, context, messages)
    response = await context.chat(settings.model, messages, **sampling(context))
    text = response.text.strip()
    if not text:
        return Drop("empty")
    if settings.truncated == "drop" and response.finish_reason == "length":
        return Drop("truncated")
    return record.with_columns({settings.output: text})


async def _structured(record: Record, context: Context[ChatSettings], messages: list[Message]) -> Result:
    from streamgen.llm.structured import CutUnfit

    settings = context.settings
    assert settings.schema is not None
    try:
        answer = await context.structured(settings.model, messages, settings.schema, **sampling(context))
    except CutUnfit:
        if settings.truncated == "drop":
            return Drop("truncated")
        raise
    if settings.truncated == "drop" and answer.response.finish_reason == "length":
        return Drop("truncated")
    return record.with_columns(answer.value if settings.spread else {settings.output: answer.value})


def check_prompt(field: str, text: str) -> None:
    """Raise ValueError, with the field's name first, for a template that cannot be compiled."""
    try:
        compile_prompt(text)
    except RecipeError as error:
        raise ValueError(f"{field}: {error}") from None
