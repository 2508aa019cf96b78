"""Conversations between a simulated user and an assistant: one model plays the user, another (or the same) answers.

So UltraChat was made (Ding et al. 2023, arXiv 2305.14233).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from streamgen.context import Context
from streamgen.engine.stage import Drop, Result
from streamgen.generate._conversation_prompts import Wording, as_the_user_sees_it
from streamgen.generate.calling import SamplingSettings, answered, sampling
from streamgen.generate.chat import check_prompt
from streamgen.llm.model import Message
from streamgen.llm.prompt import compile_prompt
from streamgen.record import Record, Value
from streamgen.text import words

Turns: TypeAlias = Annotated[int, Meta(ge=1, le=64)]
_SPEAKER = re.compile(r"\A\W{0,3}(?:user|person|human|customer)\W{0,3}:\s*", re.IGNORECASE)
_OTHER = re.compile(r"^\W{0,3}(?:assistant|ai|bot)\W{0,3}:", re.IGNORECASE | re.MULTILINE)


class ConversationSettings(SamplingSettings, frozen=True, kw_only=True):
    """`about`, a template over the columns, tells the simulator who the user is and what they want; `first`, another,
    is their first message where it is given. The `model` answers, with the `system` prompt, a template too, which
    stands in the record; `user_model` plays the user (the same model where not given).

    `turns` is how many messages of the user there are at most: a number, or numbers by their weights
    ({ "1" = 1, "3" = 2 }), drawn for each ticket. A conversation ends earlier where the user says the simulator's word
    for it, nothing, or something for the second time, and with the answer to a message that ends with one of
    `ends_with`; with fewer than `min_turns` it is dropped. The column `messages` has `role`, `content` and, for
    trainers, a `weight`: 1 for what is learned, which is all that the assistant says, or by `learn` the "last" alone.
    """

    about: str = "They have a question."
    first: str | None = None
    system: str | None = None
    user_model: str | None = None
    turns: Turns | Mapping[str, Annotated[float, Meta(ge=0.0)]] = 2
    min_turns: Turns = 1
    ends_with: tuple[str, ...] = ()
    learn: Literal["assistant", "last", "unmarked"] = "assistant"
    truncated: Literal["keep", "drop"] = "drop"
    messages: str = "messages"
    wording: Wording = Wording()

    def check(self) -> None:
        """Raise ValueError for templates that cannot be right, and for turns that nobody could draw."""
        for name in ("about", "first", "system"):
            check_prompt(name, getattr(self, name) or "")
        self.wording.check()
        if isinstance(self.turns, Mapping):
            if not self.turns or not sum(self.turns.values()):
                raise ValueError('turns: weights of numbers are needed, as turns = { "1" = 1, "3" = 2 }')
            if wrong := [number for number in self.turns if not number.isdecimal() or not 1 <= int(number) <= 64]:
                raise ValueError(f"turns: {wrong[0]!r} is no number of turns from 1 to 64")
        if self.min_turns > self._most():
            raise ValueError(f"min_turns: {self.min_turns} is above the most turns, {self._most()}")

    def asked_models(self) -> tuple[str, ...]:
        """Whoever answers, and whoever plays the user."""
        return (self.model, self.user_model) if self.user_model else (self.model,)

    def reads(self) -> frozenset[str]:
        """The columns of the templates."""
        templates = (self.about, self.first or "", self.system or "")
        return frozenset[str]().union(*(compile_prompt(template).columns for template in templates))

    def writes(self) -> frozenset[str]:
        """The messages."""
        return frozenset({self.messages})

    def _most(self) -> int:
        return self.turns if isinstance(self.turns, int) else max(map(int, self.turns))


async def conversation(record: Record, context: Context[ConversationSettings]) -> Result:
    """The record with a conversation; the score under the stage's name is how many turns of the user it has.

    Drops: `empty` where user or assistant begin with nothing, `too_few_turns`, and `truncated` where an answer was cut.
    """
    settings = context.settings
    about = compile_prompt(settings.about).render(record.columns)
    system = [Message("system", compile_prompt(settings.system).render(record.columns))] if settings.system else []
    wanted, turns = _drawn(settings.turns, context.rng), list[Message]()
    while len(turns) < 2 * wanted:
        said = await _said(record, about, turns, context)
        if not said or _is_repeated(said, turns):
            break
        response = await answered(
            context.chat(settings.model, [*system, *turns, Message("user", said)], **sampling(context))
        )
        if response.finish_reason == "length" and settings.truncated == "drop":
            return Drop("truncated")
        if not (text := response.text.strip()):
            break
        turns += [Message("user", said), Message("assistant", text)]
        if _is_end(said, settings):
            break
    if not turns:
        return Drop("empty")
    if len(turns) < 2 * settings.min_turns:
        return Drop("too_few_turns")
    return record.with_columns({settings.messages: _weighted([*system, *turns], settings)}).scored(
        context.stage, float(len(turns) // 2)
    )


def _drawn(turns: int | Mapping[str, float], rng: Random) -> int:
    if isinstance(turns, int):
        return turns
    return int(rng.choices(list(turns), list(turns.values()))[0])


async def _said(
    record: Record, about: str, turns: Sequence[Message], context: Context[ConversationSettings]
) -> str | None:
    """The user's next message; None where there is none, or it is the word for the end."""
    settings, wording = context.settings, context.settings.wording
    if not turns and settings.first is not None:
        return compile_prompt(settings.first).render(record.columns).strip() or None
    seen = as_the_user_sees_it(wording, about, turns)
    response = await answered(context.chat(settings.user_model or settings.model, seen, **sampling(context)))
    text = response.text.split(wording.end)[0]
    return _own_words(text) or None


def _own_words(text: str) -> str:
    """A message without the name of its speaker, and without what is said for the other one.

    >>> _own_words('User: "How far is it?"'), _own_words("Thanks!\\nAssistant: You are welcome.")
    ('How far is it?', 'Thanks!')
    """
    other = _OTHER.search(text)
    own = _SPEAKER.sub("", text[: other.start()] if other else text).strip()
    return own[1:-1].strip() if len(own) > 1 and own[0] == own[-1] == '"' else own


def _is_repeated(said: str, turns: Sequence[Message]) -> bool:
    """Whether anybody has said so before: simulators echo what they are told."""
    own = words(said)
    return any(words(turn.content) == own for turn in turns)


def _is_end(said: str, settings: ConversationSettings) -> bool:
    folded = said.casefold().rstrip(" .!?")
    return any(folded.endswith(phrase.casefold().rstrip(" .!?")) for phrase in settings.ends_with)


def _weighted(turns: Sequence[Message], settings: ConversationSettings) -> list[dict[str, Value]]:
    plain: list[dict[str, Value]] = [{"role": turn.role, "content": turn.content} for turn in turns]
    if settings.learn == "unmarked":
        return plain
    learned = [turn["role"] == "assistant" for turn in plain]
    if settings.learn == "last":
        learned = [place == len(plain) - 1 for place in range(len(plain))]
    return [{**turn, "weight": int(is_learned)} for turn, is_learned in zip(plain, learned, strict=True)]
