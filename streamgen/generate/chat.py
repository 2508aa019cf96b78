"""Asks a model with a prompt made of the record's columns and puts the answer into a column: the primitive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.errors import ModelError, RecipeError
from streamgen.llm.model import Message, Sampling
from streamgen.llm.prompt import compile_prompt
from streamgen.llm.structured import check_schema, fits, parse_json
from streamgen.record import Record, Value
from streamgen.settings import Settings

Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Penalty: TypeAlias = Annotated[float, Meta(ge=-2.0, le=2.0)]


class SamplingSettings(Settings, frozen=True, kw_only=True):
    """The model that a stage asks, and how tokens are drawn; what is not set is left to the endpoint.

    `seed = "ticket"` sends another seed with each call, the same in each run with the same seed.
    """

    model: str
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    min_p: Share | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repeat_penalty: Annotated[float, Meta(gt=0.0, le=10.0)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop: tuple[str, ...] | None = None
    seed: int | Literal["ticket"] | None = None
    extra: Mapping[str, Value] = {}


class ChatSettings(SamplingSettings, frozen=True, kw_only=True):
    """`prompt` and `system` are Jinja2 templates over the columns; the answer goes to the column `output`.

    With a JSON Schema as `schema`, the column gets the parsed value. `truncated` says what becomes of an answer that
    was cut at `max_tokens`.
    """

    prompt: str
    system: str | None = None
    output: str = "output"
    schema: Mapping[str, Value] | None = None
    truncated: Literal["keep", "drop"] = "keep"

    def check(self) -> None:
        """Raise ValueError for a template or a schema that cannot be right."""
        check_prompt("prompt", self.prompt)
        check_prompt("system", self.system or "")
        if self.schema is not None:
            try:
                check_schema(self.schema)
            except RecipeError as error:
                raise ValueError(f"schema: {error}") from None

    def reads(self) -> frozenset[str]:
        """The columns of both templates."""
        return compile_prompt(self.prompt).columns | compile_prompt(self.system or "").columns

    def writes(self) -> frozenset[str]:
        """The output column."""
        return frozenset({self.output})


async def chat(record: Record, context: Context[ChatSettings]) -> Result:
    """The record with the model's answer, without white space around it; a drop as `empty` or `truncated`.

    Raises PromptError for a column that the record lacks, ModelError for an answer that does not fit the schema.
    """
    settings = context.settings
    messages = [Message("user", compile_prompt(settings.prompt).render(record.columns))]
    if settings.system is not None:
        messages.insert(0, Message("system", compile_prompt(settings.system).render(record.columns)))
    response = await context.chat(settings.model, messages, schema=settings.schema, **sampling(context))
    text = response.text.strip()
    if not text:
        return Drop("empty")
    if settings.truncated == "drop" and response.finish_reason == "length":
        return Drop("truncated")
    value = text if settings.schema is None else _structured(text, settings.schema)
    return record.with_columns({settings.output: value})


def sampling(context: Context[SamplingSettings]) -> dict[str, Value]:
    """The parameters of a call: the sampling fields that are set."""
    settings = context.settings
    parameters = {name: getattr(settings, name) for name in Sampling.__struct_fields__}
    if settings.seed == "ticket":
        parameters["seed"] = context.rng.getrandbits(31)
    return {name: value for name, value in parameters.items() if value is not None}


def check_prompt(field: str, text: str) -> None:
    """Raise ValueError, with the field's name first, for a template that cannot be compiled."""
    try:
        compile_prompt(text)
    except RecipeError as error:
        raise ValueError(f"{field}: {error}") from None


def _structured(text: str, schema: Mapping[str, Value]) -> Value:
    value = parse_json(text)
    if (reason := fits(value, schema)) is not None:
        raise ModelError(f"the answer does not fit the schema: {reason}")
    return value
