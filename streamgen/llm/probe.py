"""What an endpoint can do, found out with a handful of tiny calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import anyio
import msgspec

from streamgen.context import Context
from streamgen.errors import ModelError, StreamgenError
from streamgen.llm.ask import ask
from streamgen.llm.ladder import Ladder
from streamgen.llm.model import ChatRequest, Embedder, EmbeddingRequest, Message, Model, Request, Response
from streamgen.llm.retry import FATAL, CallError, Kind
from streamgen.llm.shape import shape_of
from streamgen.llm.told import Told
from streamgen.record import Value

CALLS = 6  # that are made to an endpoint which can do everything
_TOKENS = 16
_HELLO = (Message("user", "Say OK."),)
_PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
_WORKS = {Kind.TRUNCATED, Kind.EMPTY}  # no text, but an answer
_NO_CHAT = {Kind.BAD_REQUEST, Kind.NOT_FOUND, Kind.SERVER}  # how servers of embedding models answer to a chat
_WRONG = {Kind.UNREACHABLE: "reachable", Kind.NOT_AN_API: "reachable", Kind.AUTH: "key", Kind.NOT_FOUND: "model"}
_FIXES = {
    **FATAL,
    Kind.RATE_LIMITED: "wait until the limit is free again, or use another key",
    Kind.OVERLOADED: "try again later",
    Kind.TIMEOUT: "check that the server is not busy with others; raise --timeout",
    Kind.BAD_REQUEST: "check `model`, and `extra` where stages set it",
    Kind.SERVER: "look at the server's log",
}


class Finding(msgspec.Struct, kw_only=True):
    """What is known of one server and key. None is what could not be found out.

    `reachable`, `key` and `model` say whether the server answered, took the key, and knows the model; `rung` is the
    surest way in which it gives structured answers, `told` what it said of its limits, `seconds` the time of one short
    answer. `problem` and `fix` say why it cannot be used and what to do, `notes` what else is worth knowing.
    """

    name: str
    server: str = ""
    reachable: bool | None = None
    key: bool | None = None
    model: bool | None = None
    seconds: float | None = None
    rung: str | None = None
    logprobs: bool | None = None
    embeddings: bool | None = None
    streaming: bool | None = None
    usage: bool | None = None
    priced: bool = False
    told: Told | None = None
    problem: str | None = None
    fix: str | None = None
    notes: list[str] = []

    @property
    def is_usable(self) -> bool:
        """Whether a run could use it."""
        return self.problem is None


@runtime_checkable
class Askable(Protocol):
    """A model whose server can be asked what is no call."""

    async def ask(self, path: str, fields: Mapping[str, Value] | None = None) -> tuple[int, bytes]:
        """Status and body of what the server says at a path; a POST of the fields where there are any."""
        ...


async def probe(model: Model, finding: Finding, wanted: str | None, clock: Callable[[], float]) -> None:
    """Fill in the finding. `wanted` is the name under which the server should know the model."""
    if isinstance(model, Askable):
        await _list(model, finding, wanted)
    began = clock()
    try:
        response = await _hello(model)
    except CallError as error:
        if not await _only_embeds(model, finding, error):
            _refused(finding, error)
        return
    except StreamgenError as error:
        finding.problem = str(error)
        return
    finding.seconds = clock() - began
    finding.reachable = finding.key = finding.model = True
    if response is not None:
        finding.usage, finding.told = response.usage.tokens > 0, response.told
    async with anyio.create_task_group() as group:
        group.start_soon(_structured, model, finding)
        if isinstance(model, Askable):
            group.start_soon(_logprobs, model, finding)
            group.start_soon(_streaming, model, finding)
        if isinstance(model, Embedder):
            group.start_soon(_embeddings, model, finding)


async def _hello(model: Model) -> Response | None:
    """A short answer; None where its few tokens held no text, as with models that think first."""
    request = ChatRequest(messages=_HELLO, max_tokens=_TOKENS)
    try:
        return await model.chat(request)
    except CallError as error:
        if error.kind in _WORKS:
            return None
        if error.kind is not Kind.BAD_REQUEST or "max_tokens" not in str(error):
            raise
    return await model.chat(ChatRequest(messages=_HELLO))


def _refused(finding: Finding, error: CallError) -> None:
    finding.problem, finding.fix, finding.told = str(error), _FIXES.get(error.kind), error.told
    wrong = _WRONG.get(error.kind)
    finding.reachable = wrong != "reachable" and error.kind not in (Kind.RESET, Kind.TIMEOUT)
    if finding.reachable:
        finding.key = None if error.kind in (Kind.SERVER, Kind.OVERLOADED) else wrong != "key"
    if wrong == "model":
        finding.model = False
        if known := [note for note in finding.notes if note.startswith("the server knows")]:
            finding.fix = f"{finding.fix}; {known[0]}"


async def _list(model: Askable, finding: Finding, wanted: str | None) -> None:
    """Which models there are, where the server says it."""
    data = await _said(model, "models")
    names = [str(entry["id"]) for entry in _entries(data) if isinstance(entry, dict) and "id" in entry]
    if names and wanted and wanted not in names:
        others = f" and {len(names) - 8} others" if len(names) > 8 else ""
        finding.notes.append(f"the server knows {', '.join(sorted(names)[:8])}{others}, but not {wanted}")


async def _logprobs(model: Askable, finding: Finding) -> None:
    data = await _said(model, "chat/completions", {**_asked(1), "logprobs": True})
    choices = data.get("choices") if isinstance(data, dict) else None
    finding.logprobs = bool(choices and isinstance(choices[0], dict) and choices[0].get("logprobs"))


async def _streaming(model: Askable, finding: Finding) -> None:
    try:
        status, body = await model.ask("chat/completions", {**_asked(_TOKENS), "stream": True})
    except (OSError, ValueError):
        return
    finding.streaming = status == 200 and body.lstrip().startswith((b"data:", b"event:", b":"))


async def _embeddings(model: Embedder, finding: Finding) -> None:
    try:
        finding.embeddings = bool((await model.embed(EmbeddingRequest(texts=("a",)))).vectors)
    except StreamgenError:
        finding.embeddings = False


async def _only_embeds(model: Model, finding: Finding, error: CallError) -> bool:
    """Whether a model that refuses to chat is one that makes vectors, and so of use."""
    if error.kind not in _NO_CHAT or not isinstance(model, Embedder):
        return False
    await _embeddings(model, finding)
    if finding.embeddings:
        finding.reachable = finding.key = finding.model = True
        finding.notes.append("it makes vectors of texts (context.embed), and writes none")
    return bool(finding.embeddings)


def _asked(tokens: int) -> dict[str, Value]:
    return {"messages": [{"role": "user", "content": "Say OK."}], "max_tokens": tokens}


def _entries(data: Value) -> list[Value]:
    entries = data.get("data") if isinstance(data, dict) else None
    return entries if isinstance(entries, list) else []


async def _said(model: Askable, path: str, fields: Mapping[str, Value] | None = None) -> Value:
    """The JSON at a path; None where there is none."""
    try:
        status, body = await model.ask(path, fields)
        return msgspec.json.decode(body) if status == 200 else None
    except (StreamgenError, OSError, ValueError):  # aiohttp's and msgspec's errors among them
        return None


async def _structured(model: Model, finding: Finding) -> None:
    caller = _Direct(model)
    context: Context[None] = Context("check", None, ticket=0, record_id="0", seed=0, caller=caller)
    wish = (Message("user", "Make up a person: name and age, as JSON."),)
    try:
        await ask(context, "", wish, shape_of(_PERSON), {"max_tokens": 8 * _TOKENS})
    except ModelError as error:
        finding.notes.append(f"no structured answer: {error}")
    rung = caller.known.rung
    finding.rung = rung.value if caller.known.counts or caller.known.knows(rung) else None


class _Direct:
    """Hands calls to one model, and keeps what is learned."""

    def __init__(self, model: Model) -> None:
        self.model, self.known = model, Ladder()

    def ladder(self, context: Context[Any], model: str) -> Ladder:
        return self.known

    async def call(self, context: Context[Any], model: str, request: Request) -> Response:
        context.asked += 1
        assert isinstance(request, ChatRequest)
        return await self.model.chat(msgspec.structs.replace(request, idempotency_key=""))
