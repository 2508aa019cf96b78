"""The settings of the stage `self_instruct`."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from streamgen.errors import RecipeError
from streamgen.generate._instances import Instance
from streamgen.generate._instructions import BANNED, BANNED_STARTS
from streamgen.generate._seed_tasks import read_seeds
from streamgen.generate._self_instruct_prompts import Method, Wording
from streamgen.generate.calling import CallingSettings
from streamgen.settings import FilePath

Order: TypeAlias = Literal["by_kind", "input_first", "output_first"]


class SelfInstructSettings(CallingSettings, frozen=True, kw_only=True):
    """`seeds` is a JSONL file with `instruction` and `input`, `output` (or `instances`, a list of these) a line, and
    `is_classification` where that is known.

    `method` "completion" continues a raw list, as the paper did with a model that was not tuned; "chat" asks for it.
    `from_seeds` and `from_pool` instructions stand in the context. An instruction is taken while its ROUGE-L with all
    seeds and all that were taken is below `threshold`, it has `min_words` to `max_words` words, none of the `banned`
    ones, does not begin with one of `banned_starts`, and with `ascii_start` begins with an ASCII character.

    `order` says how input and output are made: "input_first", "output_first" (labels, then an input for each, so that
    no label is favoured), or as the kind of the task needs, which is one more short call with `kind_examples` of each
    kind. `instances` seeds stand in that prompt. Up to `most_instances` of one instruction become records.
    `wording` holds the prompts. With a `schema` of an object (method "chat") its properties are asked for, and become
    columns, in place of input and output.
    """

    seeds: FilePath
    method: Method = "chat"
    from_seeds: Annotated[int, Meta(ge=1, le=50)] = 6
    from_pool: Annotated[int, Meta(ge=0, le=50)] = 2
    threshold: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.7
    min_words: Annotated[int, Meta(ge=1)] = 4
    max_words: Annotated[int, Meta(ge=1)] = 150
    banned: tuple[str, ...] = BANNED
    banned_starts: tuple[str, ...] = BANNED_STARTS
    ascii_start: bool = True
    order: Order = "by_kind"
    kind_examples: Annotated[int, Meta(ge=0, le=20)] = 4
    instances: Annotated[int, Meta(ge=1, le=20)] = 3
    most_instances: Annotated[int, Meta(ge=1, le=20)] = 1
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError for seeds or prompts that cannot be used and for bounds that nothing passes."""
        if self.min_words > self.max_words:
            raise ValueError(f"min_words: {self.min_words} is above max_words = {self.max_words}")
        self.check_columns()
        self.wording.check()
        if self.schema is not None and (self.method != "chat" or "instruction" in self.properties()):
            raise ValueError('schema: it goes with method = "chat", and has no property `instruction`')
        try:
            seeds = read_seeds(self.seeds)
        except RecipeError as error:
            raise ValueError(f"seeds: {error}") from None
        if self.order == "output_first" and not any(seed.is_classification for seed in seeds):
            raise ValueError('order: "output_first" needs seeds with `"is_classification": true`')

    def writes(self) -> frozenset[str]:
        """The columns of a task."""
        return (frozenset(Instance._fields) if self.schema is None else self.properties()) | {"instruction"}
