"""Gives each ticket a topic: a leaf of a tree that a model grows from a sentence on a domain, or from documents.

Topic trees as quotas are the common idea of GLAN (Li et al. 2024, arXiv 2402.13064) and of domain-specific synthetic
data; here the tree grows as tickets come to it, so that no leaf is paid for that no ticket reaches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import anyio
import msgspec
from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Keep, Memory, Result, forget
from streamgen.generate._corpus import Corpus, read_corpus
from streamgen.generate._lines import clean_lines
from streamgen.generate._refusals import has_changed_script, is_refusal
from streamgen.generate._topic_tree import Path, TopicTree
from streamgen.generate.calling import SamplingSettings, Share, answered, sampling
from streamgen.llm.model import Response
from streamgen.llm.prompt import compile_prompt
from streamgen.record import Columns, Record
from streamgen.settings import FilePath
from streamgen.text import words

_MOST_LEAVES = 100_000
_TOKENS_A_TOPIC = 16


class _Grown(NamedTuple):
    """What the journal keeps: a path, the topics below it, and how many calls its ticket had made by then."""

    path: Path
    topics: tuple[str, ...]
    calls: int


_OF_SENTENCES = frozenset(("is", "are", "was", "were", "i", "you", "we", "they", "it", "has", "have"))
_encode, _decode = msgspec.json.encode, msgspec.json.Decoder(_Grown).decode


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The prompts of both methods, as templates: they may insert `domain`, `above` (the topic that is divided, with
    those above it), `amount`, `known` (topics that there are already), `listed` (these as a numbered list) with `next`
    (the number behind it) and, of documents, `terms` and `passage`.
    """

    divide: str = (
        "{% if terms %}Some terms of the field: {{ terms }}.\n{% endif %}"
        "{% if passage %}From a document of the field:\n{{ passage }}\n\n{% endif %}"
        "{{ domain }}\nDivide {{ above }} into {{ amount }} different subtopics, each named in one to five words. "
        "{% if known %}There are already: {{ known }}. {% endif %}"
        "Answer with the subtopics alone, one a line."
    )
    divide_list: str = (
        "{% if terms %}Some terms of the field: {{ terms }}.\n\n{% endif %}"
        "{{ domain }}\nA list of {{ amount }} different subtopics of {{ above }}, in a few words each:\n"
        "{{ listed }}{{ next }}."
    )

    def check(self) -> None:
        """Raise RecipeError for a template that has an error, ValueError for one that inserts what there is not."""
        known = {"domain", "above", "amount", "known", "listed", "next", "terms", "passage"}
        for name in self.__struct_fields__:
            if unknown := sorted(compile_prompt(getattr(self, name)).columns - known):
                raise ValueError(f"wording.{name}: it inserts {unknown[0]!r}; there is {', '.join(sorted(known))}")


class TaxonomySettings(SamplingSettings, frozen=True, kw_only=True):
    """The tree grows from `domain`, a sentence, or from `corpus`, or both: JSON lines with the text in `corpus_column`,
    or any other text file, by paragraphs.

    Each topic is divided into up to `branches`, down to `depth`; what is the `same` as another one (Dice coefficient of
    their words) is pruned, and the model is asked for more up to `asks` times. Topics have at most `most_words`.

    `method` "chat" asks for the topics; "completion" continues a list, which small models do better. The leaf goes to
    the column `topic`, all topics from the root on to `path`. With a corpus, `terms` gets up to so many of its terms,
    and `passage` and `style` what a prompt can show of its documents: domain adaptation.
    """

    domain: str = ""
    method: Literal["chat", "completion"] = "chat"
    corpus: FilePath | None = None
    corpus_column: str = "text"
    depth: Annotated[int, Meta(ge=1, le=6)] = 2
    branches: Annotated[int, Meta(ge=2, le=100)] = 5
    same: Share = 0.75
    asks: Annotated[int, Meta(ge=1, le=10)] = 2
    most_words: Annotated[int, Meta(ge=1, le=50)] = 6
    terms: Annotated[int, Meta(ge=1, le=100)] = 8
    topic: str = "topic"
    path: str = "path"
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError where there is nothing to grow from, or too much would grow."""
        self.wording.check()
        if not self.domain.strip() and self.corpus is None:
            raise ValueError("domain: give a sentence on the domain, or documents of it: corpus = FILE")
        if self.branches**self.depth > _MOST_LEAVES:
            raise ValueError(f"depth: {self.branches} branches to that depth are more than {_MOST_LEAVES:,} leaves")
        if self.corpus is not None:
            read_corpus(self.corpus, self.corpus_column)

    def writes(self) -> frozenset[str]:
        """The topic and its path, and with a corpus what comes of it."""
        return frozenset({self.topic, self.path, *(("terms", "passage", "style") if self.corpus else ())})


class Taxonomy:
    """Sets the topic, or drops a ticket as `no_topics` where the model has named none at all.

    Leaves take turns by the ticket's number, so that each child of a topic gets the same share. A topic is divided by
    the first ticket that comes to it, while the others wait; which one that is, and so the tree, is not fixed by the
    seed alone. A resumed run goes on with the tree that there was.
    """

    def __init__(self, settings: TaxonomySettings) -> None:
        self.keep: Keep = forget
        self._tree = TopicTree(settings.depth)
        self._corpus = read_corpus(settings.corpus, settings.corpus_column) if settings.corpus is not None else None
        self._made: dict[str, int] = {}  # calls of records that come again: the numbers that are used up
        self._growing: defaultdict[Path, anyio.Lock] = defaultdict(anyio.Lock)

    async def __call__(self, record: Record, context: Context[TaxonomySettings]) -> Result:
        """The record with its topic."""
        context.asked = max(context.asked, self._made.get(record.id, 0))
        while not self._tree.is_leaf(path := self._tree.walk(context.ticket).path):
            async with self._growing[path]:
                if not self._tree.is_leaf(path):
                    topics = await self._divided(path, context)
                    if not topics and not path:
                        return Drop("no_topics")
                    self._tree.grow(path, topics)
                    self.keep(record.id, _encode(_Grown(path, tuple(topics), context.asked)))
        return record.with_columns(self._columns(path, context.settings))

    def recall(self, memories: Sequence[Memory]) -> None:
        """Take in what grew in earlier sessions."""
        for memory in memories:
            path, topics, calls = _decode(memory.body)
            if path not in self._tree.children:
                self._tree.grow(path, topics)
            if memory.record is not None:
                self._made[memory.record] = calls

    def __repr__(self) -> str:
        return f"<Taxonomy of {len(self._tree)} topics>"

    async def _divided(self, path: Path, context: Context[TaxonomySettings]) -> list[str]:
        """Up to `branches` new topics below a path; none where the model names none that can be used."""
        settings = context.settings
        topics: list[str] = []
        for _ in range(settings.asks):
            prompt = _prompt(path, topics, settings, self._corpus)
            response = await _ask(context, prompt)
            found = _named(response.text, path, settings, cut=response.finish_reason == "length")
            topics = self._tree.novel([*topics, *found], path, settings.same)[: settings.branches]
            if len(topics) == settings.branches:
                break
        return topics

    def _columns(self, path: Path, settings: TaxonomySettings) -> Columns:
        columns: Columns = {settings.topic: path[-1], settings.path: list(path)}
        if self._corpus is not None:
            passage = self._corpus.passage(" ".join(path))
            terms = self._corpus.terms_of(passage, settings.terms) or list(self._corpus.terms[: settings.terms])
            columns.update(terms=terms, passage=passage, style=self._corpus.style)
        return columns


async def _ask(context: Context[TaxonomySettings], prompt: str) -> Response:
    settings = context.settings
    parameters = {"max_tokens": _TOKENS_A_TOPIC * settings.branches, **sampling(context)}
    if settings.method == "chat":
        return await answered(context.chat(settings.model, prompt, **parameters))
    return await answered(context.complete(settings.model, prompt, **{"stop": ("\n\n",), **parameters}))


def _prompt(path: Path, known: Sequence[str], settings: TaxonomySettings, corpus: Corpus | None) -> str:
    passage = corpus.passage(" ".join(path)) if corpus and path else ""
    terms = (corpus.terms_of(passage, settings.terms) or corpus.terms[: settings.terms]) if corpus else ()
    wording = settings.wording
    return compile_prompt(wording.divide if settings.method == "chat" else wording.divide_list).render(
        {
            "domain": settings.domain,
            "above": f'"{" > ".join(path)}"' if path else "this field",
            "amount": settings.branches - (len(known) if settings.method == "chat" else 0),
            "known": ", ".join(known),
            "listed": "".join(f"{number}. {topic}\n" for number, topic in enumerate(known, 1)),
            "next": len(known) + 1,
            "terms": ", ".join(terms),
            "passage": passage,
        }
    )


def _named(text: str, path: Path, settings: TaxonomySettings, *, cut: bool) -> list[str]:
    """The topics in an answer: one a line, or behind commas where it is of one line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and lines[0].count(",") > 1:
        text = "\n".join(part.strip().removeprefix("and ") for part in lines[0].split(","))
    found = clean_lines(text, label="", known=(*path, settings.domain), cut=cut).texts
    topics = (topic.split(":")[0].strip().rstrip(".,;") for topic in found)
    return [topic for topic in topics if _is_topic(topic, settings)]


def _is_topic(topic: str, settings: TaxonomySettings) -> bool:
    """Whether it names something, and is neither a sentence nor words of the prompt."""
    found = words(topic[:1000])
    count = len(found)
    return (
        0 < count <= settings.most_words
        and _OF_SENTENCES.isdisjoint(found)
        and not (count > 1 and topic.casefold() in _prompt_words(settings))
        and not is_refusal(topic, count)
        and not topic.endswith("?")
        and not (settings.domain and has_changed_script(topic, settings.domain))
    )


def _prompt_words(settings: TaxonomySettings) -> str:
    return f"{settings.domain} {settings.wording.divide} {settings.wording.divide_list}".casefold()
