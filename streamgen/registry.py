"""Finds stages, models, sources, sinks, rewards and agents by name; an outside package adds one by an entry point."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from streamgen.context import StageContext
from streamgen.errors import PluginError, UnknownName
from streamgen.hints import hints_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILTIN: dict[str, dict[str, str]] = {
    "stages": {
        "chat": "streamgen.generate.chat:chat",
        "self_instruct": "streamgen.generate.self_instruct:SelfInstruct",
        "evol_instruct": "streamgen.generate.evol_instruct:evol_instruct",
        "conversation": "streamgen.generate.conversation:conversation",
        "grounded": "streamgen.generate.grounded:grounded",
        "preference": "streamgen.generate.preference:preference",
        "reasoning": "streamgen.generate.reasoning:reasoning",
        "controlled": "streamgen.generate.controlled:controlled",
        "taxonomy": "streamgen.generate.taxonomy:Taxonomy",
        "template": "streamgen.generate.template:template",
        "labelled": "streamgen.generate.labelled:labelled",
        "backtranslate": "streamgen.generate.backtranslate:backtranslate",
        "magpie": "streamgen.generate.magpie:magpie",
        "augment": "streamgen.generate.augment:augment",
        "translate": "streamgen.generate.translate:translate",
        "noise": "streamgen.generate.noise:noise",
        "mix": "streamgen.generate.mix:mix",
        "length": "streamgen.quality.length:length",
        "gopher_quality": "streamgen.quality.gopher_quality:gopher_quality",
        "gopher_repetition": "streamgen.quality.gopher_repetition:gopher_repetition",
        "c4": "streamgen.quality.c4:c4",
        "fineweb": "streamgen.quality.fineweb:fineweb",
        "boilerplate": "streamgen.quality.boilerplate:boilerplate",
        "language": "streamgen.quality.language:language",
        "contamination": "streamgen.quality.contamination:contamination",
        "profanity": "streamgen.quality.profanity:profanity",
        "regex": "streamgen.quality.regex:regex",
        "constraints": "streamgen.quality.constraints:constraints",
        "judge": "streamgen.quality.judge:judge",
        "score": "streamgen.quality.score:score",
        "custom": "streamgen.quality.custom:custom",
        "filters": "streamgen.quality.filters:Filters",
        "closest": "streamgen.quality.closest:Closest",
        "exact_duplicate": "streamgen.quality.exact_duplicate:ExactDuplicate",
        "near_duplicate": "streamgen.quality.near_duplicate:NearDuplicate",
        "semantic_duplicate": "streamgen.quality.semantic_duplicate:SemanticDuplicate",
        "novelty": "streamgen.quality.novelty:Novelty",
        "boundary": "streamgen.quality.boundary:Boundary",
        "quota": "streamgen.quality.quota:Quota",
        "redact": "streamgen.privacy.redact:redact",
    },
    "models": {"openai": "streamgen.llm.openai:open_openai"},
    "sources": {
        "jsonl": "streamgen.source:JsonlRows",
        "list": "streamgen.source:from_list",
        "documents": "streamgen.documents:documents",
    },
    "sinks": {"jsonl": "streamgen.journal.sinks:JsonlSink", "list": "streamgen.journal.sinks:ListSink"},
    "metrics": {
        "counts": "streamgen.metrics.counts:Counts",
        "lengths": "streamgen.metrics.lengths:Lengths",
        "distinct_n": "streamgen.metrics.distinct_n:DistinctN",
        "class_balance": "streamgen.metrics.class_balance:ClassBalance",
        "duplicates": "streamgen.metrics.duplicates:Duplicates",
        "compression": "streamgen.metrics.compression:Compression",
        "self_repetition": "streamgen.metrics.self_repetition:SelfRepetition",
        "self_bleu": "streamgen.metrics.self_bleu:SelfBleu",
        "diversity": "streamgen.metrics.diversity:Diversity",
        "readability": "streamgen.metrics.readability:Readability",
        "fluency": "streamgen.metrics.fluency:Fluency",
        "topics": "streamgen.metrics.topics:Topics",
        "similarity": "streamgen.metrics.similarity:Similarity",
        "pii": "streamgen.metrics.pii:Pii",
        "constraints": "streamgen.metrics.constraints:Constraints",
        "scores": "streamgen.metrics.scores:Scores",
        "tstr": "streamgen.metrics.tstr:Tstr",
    },
    "rewards": {
        "classifier": "streamgen.control.classifier:classifier",
        "callback": "streamgen.control.callback:Callback",
        "http": "streamgen.control.http_reward:HttpReward",
        "acceptance": "streamgen.control.acceptance:Acceptance",
        "diversity": "streamgen.control.diversity:Diversity",
        "judge": "streamgen.control.judge:Judge",
        "student": "streamgen.control.student:student",
        "weighted": "streamgen.control.weighted:Weighted",
    },
    "agents": {
        "random_search": "streamgen.control.random_search:RandomSearch",
        "bandit": "streamgen.control.bandit:Bandit",
        "direct": "streamgen.control.direct:direct",
        "ensemble": "streamgen.control.ensemble:Ensemble",
        "ppo": "streamgen.control.ppo:ppo",
        "reinforce": "streamgen.control.reinforce:reinforce",
        "surrogate": "streamgen.control.surrogate:Surrogate",
    },
}


def find(group: str, name: str, path: str = "") -> Any:
    """The object registered as `name` in `group`; only that one is imported.

    Raises UnknownName (with the known names) on a miss and PluginError when an extension cannot be imported.
    """
    if target := BUILTIN[group].get(name):
        return _load(target)
    for entry in _entries(group):
        if entry.name == name:
            try:
                return entry.load()
            except Exception as error:
                raise PluginError(
                    f"the {group[:-1]} {name!r} of {entry.value} cannot be loaded: {type(error).__name__}: {error}"
                ) from error
    raise UnknownName(f"{group[:-1]} type", name, names(group), path)


def names(group: str) -> list[str]:
    """All names of a group: built in and installed."""
    return sorted({*BUILTIN[group], *(entry.name for entry in _entries(group))})


def _entries(group: str) -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # 12 ms, for names that are not built in

    return entry_points(group=f"streamgen.{group}")


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


@cache
def settings_type(factory: Callable[..., Any]) -> type[msgspec.Struct] | None:
    """The settings struct that a stage (or metric, source, sink, reward, agent) asks for; None where it has none.

    A function asks by its `context: Context[TheSettings]`; a class, which is built once a run and may keep a
    state, by `__init__(self, settings: TheSettings)`. Raises PluginError where the annotations cannot be read.
    """
    if inspect.isclass(factory):
        return _struct(hints_of(factory.__init__).get("settings"))
    hints = hints_of(factory)
    for hint in hints.values():
        origin = typing.get_origin(hint)
        if inspect.isclass(origin) and issubclass(origin, StageContext):
            return _struct(typing.get_args(hint)[0])
    return _struct(hints.get("settings"))


def _struct(hint: object) -> type[msgspec.Struct] | None:
    return hint if inspect.isclass(hint) and issubclass(hint, msgspec.Struct) else None
