"""`provider = "local"`: a GGUF model on this machine, without a key or a network.

llama.cpp's own server (through xllamacpp) runs in a child process and is spoken to like any other OpenAI endpoint.
It queues without bound, so no more calls than `slots` should be sent at once; it asks for a random key, since any
page in a browser could reach the port otherwise.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NamedTuple

import anyio
import anyio.to_thread
import msgspec

from streamgen.errors import EndpointError, MissingExtra, RecipeError
from streamgen.llm import store
from streamgen.llm.model import ChatRequest, CompletionRequest, EmbeddingRequest, Response
from streamgen.llm.openai import OpenAIModel
from streamgen.llm.spec import ModelSpec
from streamgen.log import get_logger
from streamgen.record import Value
from streamgen_adapters.llamacpp_server import ServerOptions, Started

SLOTS = 8  # two cores, 135M parameters: 74 / 112 / 134 / 146 tokens/s at 1 / 4 / 8 / 16 slots
CONTEXT = 2048  # tokens a slot
_GOODBYE_S = 5.0
_REPORT_S = 5.0


class LocalModel:
    """A `Model` that is fetched and loaded at the first call. `slots` is the number of calls it works on at once.

    Vectors are made by a second process, which is started for the first of them: one that makes them writes slower.
    """

    def __init__(self, spec: ModelSpec, *, embeds: bool = False) -> None:
        self.slots = spec.slots or SLOTS
        self._embeds = embeds
        self._embedder: LocalModel | None = None
        self._spec = spec
        self._name = spec.model or Path(spec.path or "").stem
        self._server: _Server | None = None
        self._client: OpenAIModel | None = None
        self._starting = anyio.Lock()

    async def chat(self, request: ChatRequest) -> Response:
        """The assistant's next message."""
        return await (await self._ready()).chat(request)

    async def complete(self, request: CompletionRequest) -> Response:
        """The prompt's continuation."""
        return await (await self._ready()).complete(request)

    async def embed(self, request: EmbeddingRequest) -> Response:
        """A vector for each text."""
        if self._embeds:
            return await (await self._ready()).embed(request)
        if self._embedder is None:
            self._embedder = LocalModel(self._spec, embeds=True)
        return await self._embedder.embed(request)

    async def ask(self, path: str, fields: Mapping[str, Value] | None = None) -> tuple[int, bytes]:
        """Status and body of what the server says at a path; a POST of the fields where there are any."""
        return await (await self._ready()).ask(path, fields)

    async def aclose(self) -> None:
        """End the server and give its memory back; a later call starts it again."""
        client, self._client = self._client, None
        server, self._server = self._server, None
        embedder, self._embedder = self._embedder, None
        with anyio.CancelScope(shield=True):
            if embedder:
                await embedder.aclose()
            if client:
                await client.aclose()
            if server:
                await anyio.to_thread.run_sync(_end, server)

    def __repr__(self) -> str:
        state = f"process {self._server.process.pid}" if self._server else "not loaded"
        return f"<LocalModel {self._name}, {self.slots} slots, {state}>"

    async def _ready(self) -> OpenAIModel:
        if self._client is None or self._has_died():
            async with self._starting:
                if self._client is None or self._has_died():
                    await self._start()
        assert self._client is not None
        return self._client

    def _has_died(self) -> bool:
        return self._server is not None and self._server.process.poll() is not None

    async def _start(self) -> None:
        """Cancelled while the server starts, it waits: an unowned process would stay behind."""
        await self.aclose()
        path = await anyio.to_thread.run_sync(find_or_pull, self._spec, abandon_on_cancel=True)
        options = _options(self._spec, self._name, path, self._embeds)
        with anyio.CancelScope(shield=True):
            self._server = server = await anyio.to_thread.run_sync(_launch, options)
        self._client = OpenAIModel(
            f"{server.address}/v1", self._name, options.api_key, self._spec.timeout_s, self._spec.headers
        )


def open_local(spec: ModelSpec) -> LocalModel:
    """The model that `provider = "local"` names: `model` of the store, or the GGUF file at `path`.

    Raises RecipeError for what is in neither, and MissingExtra without xllamacpp. Nothing is loaded yet.
    """
    if find_spec("xllamacpp") is None:
        raise MissingExtra("the local model", "local")
    if spec.path is None and spec.model is None:
        known = ", ".join(store.KNOWN)
        raise RecipeError(f"a local model needs `model` ({known}) or `path`, a GGUF file", "model")
    _located(spec)
    return LocalModel(spec)


def find_or_pull(spec: ModelSpec) -> Path:
    """The model's file, fetched at first use with a line in the log now and then."""
    path = _located(spec)
    if path is None:
        assert spec.model is not None
        path = store.pull(spec.model, _reporter(spec.model))
    return path


def _located(spec: ModelSpec) -> Path | None:
    """The file; None where it can be fetched. Raises RecipeError where there is neither."""
    name = spec.path or spec.model or ""
    path = store.find(name)
    if path is None and (spec.path or name not in store.KNOWN):
        raise RecipeError(
            f"no GGUF file at {name!r} and no such model in {store.store_directory()}; "
            f"known models, fetched on first use: {', '.join(store.KNOWN)}",
            "path" if spec.path else "model",
        )
    return path


def _reporter(name: str) -> store.Progress:
    log = get_logger(model=name)
    log.info("fetching the local model, once", directory=str(store.store_directory()))
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if done >= total or time.monotonic() - last >= _REPORT_S:
            last = time.monotonic()
            log.info("fetching", megabytes=done >> 20, of=total >> 20)

    return report


class _Server(NamedTuple):
    process: subprocess.Popen[bytes]
    address: str


def _options(spec: ModelSpec, name: str, path: Path, embeds: bool) -> ServerOptions:
    return ServerOptions(
        path=str(path),
        name=name,
        api_key=secrets.token_urlsafe(24),
        slots=spec.slots or SLOTS,
        context=spec.context or CONTEXT,
        threads=spec.threads,
        embeds=embeds,
        means=embeds and spec.path is None,  # the store's models write text; a user's own file says how it embeds
    )


def _launch(options: ServerOptions) -> _Server:
    """A server that answers. The key travels over standard input: arguments can be read by other users."""
    with tempfile.TemporaryFile() as log:
        process = _spawn(log)
        assert process.stdin and process.stdout
        try:
            process.stdin.write(msgspec.json.encode(options) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        started = msgspec.json.decode(line, type=Started) if line else Started(error="the process ended")
        if started.error:
            _end(_Server(process, ""))
            raise EndpointError(f"llama.cpp cannot load {options.path}: {_why(log) or started.error}")
    return _Server(process, started.address)


def _spawn(log: IO[bytes]) -> subprocess.Popen[bytes]:
    """In a group of its own, so that Ctrl-C reaches the run and not the server that the run drains with.

    Its threads sleep rather than spin while they wait for each other: on two cores that others use too, spinning cost
    two thirds of the speed at worst (9 tokens/s against 27).
    """
    return subprocess.Popen(
        [sys.executable, "-m", "streamgen_adapters.llamacpp_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows
        start_new_session=True,  # elsewhere
    )


def _why(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    errors = [line.partition(" E ")[2].strip() for line in lines if " E " in line]
    return errors[0] if errors else " ".join(lines[-1:])


def _end(server: _Server) -> None:
    """Close its input, which it ends with; kill it where it does not."""
    process = server.process
    assert process.stdin and process.stdout
    try:
        process.stdin.close()
        process.wait(_GOODBYE_S)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
    process.stdout.close()
