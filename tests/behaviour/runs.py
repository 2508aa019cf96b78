"""Recipes with a scripted model, for tests of whole runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from streamgen.journal.store import Store
from streamgen.llm.model import ChatRequest, Request
from streamgen.recipe import Recipe, StageSpec
from streamgen.record import Value
from streamgen.testing import Answers, Scripted, prompt_of, scripted

CHAT: Mapping[str, Value] = {"name": "answer", "type": "chat", "model": "main", "prompt": "{{ n }}", "output": "text"}


def echo(latency_s: float = 0.0) -> Scripted:
    """A model that says what it was asked."""
    return model(lambda request: f"answer {prompt_of(request)}", latency_s)


def model(answers: Answers, latency_s: float = 0.0) -> Scripted:
    """A model that answers from a script, for ever."""
    return scripted(answers, latency_s=latency_s)


def asked(model: Scripted) -> Counter[str]:
    """How often each prompt was paid."""
    return Counter(prompt_of(request) for request in model.requests)


def temperature(request: Request) -> float | None:
    """What the request was sent with."""
    assert isinstance(request, ChatRequest)
    return request.temperature


def make(
    main: object,
    rows: int = 100,
    stages: Sequence[Mapping[str, Value]] = (CHAT,),
    *,
    before: Sequence[StageSpec] = (),
    after: Sequence[StageSpec] = (),
    **top: Value,
) -> Recipe:
    """A recipe over `rows` rows {"n": 0}, {"n": 1} ...; function stages stand before and after those by name."""
    raw = {
        "models": {"main": {"base_url": "http://127.0.0.1:1/v1", "model": "x"}},
        "source": {"type": "list", "rows": [{"n": n} for n in range(rows)]},
        "stages": list(stages),
        **top,
    }
    recipe = Recipe.parse(raw)
    stages_ = (*before, *recipe.stages, *after)
    return msgspec.structs.replace(recipe, models={"main": main}, stages=stages_)


def query(directory: Path, text: str) -> list[tuple[Any, ...]]:
    """Rows of a run's journal."""
    with closing(Store(directory / "run.db", read_only=True)) as store:
        return store.read(text)


def check_whole(directory: Path) -> None:
    """The journal is consistent: numbers without gaps, every id once, records of accepted tickets or open ones only."""
    records = query(directory, "SELECT seq, id, ticket FROM records ORDER BY seq")
    assert [seq for seq, _, _ in records] == list(range(1, len(records) + 1))
    assert len({id_ for _, id_, _ in records}) == len(records)
    others = "SELECT ticket, outcome FROM records JOIN outcomes USING (ticket) WHERE outcome != 'accepted'"
    assert query(directory, others) == []
