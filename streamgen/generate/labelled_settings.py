"""The settings of the stage `labelled`: what its texts are, and by which method the model is asked for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from streamgen.generate._labelled_prompts import ATTRIBUTES, OPERATIONS, Wording
from streamgen.generate._personas import personas_of
from streamgen.generate._quotas import LONGEST_CYCLE, cycle_length
from streamgen.generate._seeds import seeds_by_class
from streamgen.generate.calling import CallingSettings, Share
from streamgen.settings import FilePath

Method: TypeAlias = Literal["zero_shot", "few_shot", "list", "attribute_chat", "attribute_list", "evolve"]
Phrases: TypeAlias = tuple[str, ...]
Quotas: TypeAlias = Mapping[str, Annotated[int, Meta(ge=0, le=1_000_000)]]
Weights: TypeAlias = Mapping[str, Annotated[float, Meta(ge=0.0)]]

WITHOUT_SEEDS = frozenset({"zero_shot", "attribute_chat"})
_WITH_SCHEMA = frozenset({"zero_shot", "few_shot"})


class LabelledSettings(CallingSettings, frozen=True, kw_only=True):
    """`seeds` is a JSONL file with the columns `text` and `label`; `labels` are those of the seeds unless given.

    `task` says what the texts are, and `descriptions` what each label means, in words that follow the task: one phrase,
    or several of which each ticket draws one. With `classes`, each ticket draws its label by these weights.

    `method`: "zero_shot" and "few_shot" ask in a conversation, the latter with seeds as earlier answers; "list"
    continues a list of quoted seeds. "attribute_chat" (AttrPrompt, Yu et al. 2023, arXiv 2306.15895) and
    "attribute_list" do so with one value of each of the `attributes`, drawn for each ticket; the values of an attribute
    are the same for all classes, or stand under each label. "evolve" rewrites the record's own text, or a seed where it
    has none, `depth` times by one of the `operations`. With weights of methods, each ticket draws its method.

    With `personas` (PersonaHub, Ge et al. 2024, arXiv 2406.20094), phrases or a file with one a line or as the column
    `persona` of JSON lines, each ticket draws one, as whom the text is to be written. With `quotas`, so many of every
    that many tickets ask for each class, in an order that mixes them; the stage `quota` holds what is accepted to
    them. The share `hard` of the tickets asks for a text that could be taken for one of another class; the stage
    `boundary` keeps those that a classifier finds hard.

    Up to `shots` seeds stand in a prompt, in the file's order; where a class has more, each ticket draws its own.
    Up to `n` texts of one answer become records. `max_tokens` is 48 a text where it is not set. `wording` holds the
    prompts. With a `schema` of an object ("zero_shot" or "few_shot", one text an answer) its properties become columns
    in place of the text.
    """

    seeds: FilePath
    text: str = "text"
    label: str = "label"
    labels: Phrases | None = None
    classes: Weights | None = None
    quotas: Quotas | None = None
    task: str = "Many different examples of"
    descriptions: Mapping[str, str | Phrases] = {}
    method: Method | Weights = "list"
    attributes: Mapping[str, Phrases | Mapping[str, Phrases]] = msgspec.field(default_factory=lambda: ATTRIBUTES)
    personas: Phrases | FilePath = ()
    hard: Share = 0.0
    operations: Mapping[str, str] = msgspec.field(default_factory=lambda: OPERATIONS)
    depth: Annotated[int, Meta(ge=1, le=10)] = 1
    shots: Annotated[int, Meta(ge=1)] = 3
    n: Annotated[int, Meta(ge=1, le=50)] = 1
    wording: Wording = Wording()
    seed: int | Literal["ticket"] | None = "ticket"

    def check(self) -> None:
        """Raise ValueError for labels, methods or prompts that do not fit, RecipeError for seeds that are none."""
        self.check_columns()
        self.wording.check()
        methods = {self.method} if isinstance(self.method, str) else self.method.keys()
        if self.schema is not None and (self.n > 1 or not methods <= _WITH_SCHEMA):
            raise ValueError('schema: it goes with method = "zero_shot" or "few_shot", and n = 1')
        if not isinstance(self.method, str):
            _check_weights("method", self.method, "method", get_args(Method))
        seeds = seeds_by_class(self.seeds, self.text, self.label)
        self._check_labels(self.labels or tuple(seeds))
        bare = [label for label in self.labels or () if label not in seeds]
        if bare and not methods <= WITHOUT_SEEDS:
            without = " and ".join(f"`{method}`" for method in sorted(WITHOUT_SEEDS))
            raise ValueError(f"labels: {bare[0]!r} has no seed in {self.seeds}; only {without} do without")

    def _check_labels(self, labels: Phrases) -> None:
        if self.quotas is not None:
            _check_weights("quotas", self.quotas, "label", labels)
            if cycle_length(self.quotas) > LONGEST_CYCLE:
                raise ValueError(
                    f"quotas: they begin anew only after {cycle_length(self.quotas):,} tickets; round them"
                )
            if self.classes is not None:
                raise ValueError("quotas: they say how often each class is asked for, and so do classes; give one")
        if self.hard and len(labels) < 2:
            raise ValueError("hard: a text can be taken for one of another class only where there are two")
        if self.personas:
            personas_of(self.personas)
        if self.classes is not None:
            _check_weights("classes", self.classes, "label", labels)
        _check_names("descriptions", self.descriptions, "label", labels)
        for name, phrases in self.descriptions.items():
            _check_phrases(f"descriptions.{name}", phrases)
        _check_phrases("operations", self.operations)
        for name, values in self.attributes.items():
            _check_phrases(f"attributes.{name}", values)
            if isinstance(values, Mapping):
                _check_names(f"attributes.{name}", values, "label", labels)
                for label in labels:
                    _check_phrases(f"attributes.{name}.{label}", values.get(label, ()))

    def writes(self) -> frozenset[str]:
        """The text's and the label's column."""
        return frozenset({self.text, self.label}) if self.schema is None else self.properties() | {self.label}


def _check_weights(field: str, weights: Mapping[str, float], kind: str, known: Phrases) -> None:
    _check_names(field, weights, kind, known)
    if not sum(weights.values()) > 0:
        raise ValueError(f"{field}: at least one weight must be above 0")


def _check_names(field: str, found: Mapping[str, object], kind: str, known: Phrases) -> None:
    if unknown := sorted(found.keys() - set(known)):
        raise ValueError(f"{field}: {unknown[0]!r} is no {kind}; the {kind}s are {', '.join(known)}")


def _check_phrases(field: str, phrases: Collection[str]) -> None:
    if not phrases:
        raise ValueError(f"{field}: there is no phrase to draw from")
