"""A context whose models answer from a script."""

from __future__ import annotations

from typing import TypeVar

from streamgen.context import Context
from streamgen.llm.ladder import Ladder
from streamgen.llm.model import ChatRequest, EmbeddingRequest, Request, Response
from streamgen.settings import Settings
from streamgen.testing import Answers, Scripted, scripted

S = TypeVar("S", bound=Settings)


class Direct:
    """Hands each request to the model, and nothing else."""

    def __init__(self, model: Scripted) -> None:
        self.model = model

        self._ladder = Ladder()

    def ladder(self, context: Context[Settings], model: str) -> Ladder | None:
        return self._ladder

    async def call(self, context: Context[Settings], model: str, request: Request) -> Response:
        context.asked += 1
        if isinstance(request, EmbeddingRequest):
            return await self.model.embed(request)
        return await (self.model.chat(request) if isinstance(request, ChatRequest) else self.model.complete(request))


def asking(settings: S, answers: Answers, *, ticket: int = 0, seed: int = 7) -> tuple[Context[S], Scripted]:
    """The context, and the model that keeps what it was asked. The script must not run out."""
    model = scripted(answers, repeat=False)
    context = Context("stage", settings, ticket=ticket, record_id=str(ticket), seed=seed, caller=Direct(model))
    return context, model
