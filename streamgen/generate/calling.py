"""What all stages that call a model share: the model, how tokens are drawn, and the schema that answers must fit."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta

from streamgen.context import Context
from streamgen.errors import RecipeError
from streamgen.llm.model import Response, Sampling
from streamgen.record import Value
from streamgen.settings import FilePath, Settings

Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Penalty: TypeAlias = Annotated[float, Meta(ge=-2.0, le=2.0)]

if TYPE_CHECKING:
    from msgspec import Struct

    _Schema = Mapping[str, Value] | FilePath | type[Struct]
else:
    # In a recipe's file it is never a type; msgspec could not tell one from the others either.
    _Schema = Mapping[str, Value] | FilePath


class SamplingSettings(Settings, frozen=True, kw_only=True):
    """The model that a stage asks, and how tokens are drawn; what is not set is left to the endpoint.

    `seed = "ticket"` sends another seed with each call, the same in each run with the same seed. `logprobs` asks the
    endpoint how likely its answers were: their mean log-probability a token becomes the score `stage.logprob`.
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
    logprobs: bool | None = None
    extra: Mapping[str, Value] = {}


class CallingSettings(SamplingSettings, frozen=True, kw_only=True):
    """With a `schema` an answer has to fit it: a JSON Schema, the path of a JSON file with one, or a msgspec Struct."""

    schema: _Schema | None = None

    def check_schema(self) -> None:
        """Raise ValueError, with the `$.path` in the schema, for one that cannot be right."""
        if self.schema is None:
            return
        from streamgen.llm.shape import shape_of

        try:
            shape_of(self.schema, anew=True)
        except RecipeError as error:
            raise ValueError(f"schema: {error}") from None

    def meanings(self) -> Mapping[str, Value]:
        """The schema itself, where a file or a Struct is named."""
        if self.schema is None:
            return {}
        from streamgen.llm.shape import shape_of

        return {"schema": shape_of(self.schema).schema}

    def check_columns(self) -> None:
        """Raise ValueError for a schema that is not of an object with properties, which become columns."""
        self.check_schema()
        if self.schema is not None and not self.properties():
            raise ValueError('schema: it must be of `type = "object"` with `properties`, which become the columns')

    def properties(self) -> frozenset[str]:
        """The names of the properties that an object of the schema has."""
        if self.schema is None:
            return frozenset()
        from streamgen.llm.shape import shape_of

        return frozenset(shape_of(self.schema).properties)


async def answered(asked: Awaitable[Response]) -> Response:
    """The response; one without text where the model had nothing to say, which is no failure of the call."""
    from streamgen.llm.retry import CallError, Kind

    try:
        return await asked
    except CallError as error:
        if error.kind is not Kind.EMPTY:
            raise
        return Response("", usage=error.usage)


_KEPT = 64
_sampling: dict[int, tuple[SamplingSettings, dict[str, Value]]] = {}  # by identity: `extra` has no hash


def sampling(context: Context[SamplingSettings]) -> Mapping[str, Value]:
    """The parameters of a call: the sampling fields that are set."""
    settings = context.settings
    found = _sampling.get(id(settings))
    parameters = found[1] if found else _sampled(settings)
    return {**parameters, "seed": context.rng.getrandbits(31)} if settings.seed == "ticket" else parameters


def _sampled(settings: SamplingSettings) -> dict[str, Value]:
    """The same for all calls with these settings; what is kept is never changed."""
    values = {name: getattr(settings, name) for name in Sampling.__struct_fields__}
    parameters = {name: value for name, value in values.items() if value is not None}
    if len(_sampling) >= _KEPT:
        del _sampling[next(iter(_sampling))]
    _sampling[id(settings)] = settings, parameters
    return parameters
