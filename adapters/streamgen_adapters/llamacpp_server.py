"""The child process that holds a local model: llama.cpp's own HTTP server on a loopback port.

A process of its own, because loading holds the interpreter's lock for seconds (an event loop in the same process
would stand still), because a crash in native code must not take the user's service along, and because only the end of
a process gives all memory back. It ends when its standard input does, so it never outlives the run, however that ends.
"""

from __future__ import annotations

import os
import sys

import msgspec


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the server is started with; `context` is in tokens a slot. Sent as one line on standard input.

    With `embeds` it makes vectors: of a model that does not say how, the mean over a text's tokens (`means`).
    """

    path: str
    name: str
    api_key: str
    slots: int
    context: int
    threads: int | None = None
    embeds: bool = False
    means: bool = False


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What the child answers, as one line on standard output: its address, or why there is none."""

    address: str = ""
    error: str = ""


PROMPT_CACHE_MB = 256  # host memory for prefixes of idle slots; llama.cpp's own default is 8 GB


def main() -> None:
    """Start the server that standard input asks for, answer with its address, end with standard input."""
    options = msgspec.json.decode(sys.stdin.buffer.readline(), type=ServerOptions)
    try:
        server = _serve(options)
    except (RuntimeError, ImportError, OSError) as error:
        _answer(Started(error=f"{type(error).__name__}: {error}"))
        return
    _answer(Started(address=server.listening_address))
    sys.stdin.buffer.read()
    os._exit(0)  # answers in flight have no reader any more


def _serve(options: ServerOptions):  # type: ignore[no-untyped-def]  # xllamacpp is untyped
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.path
    parameters.model_alias = {options.name}
    parameters.api_keys = [options.api_key]
    parameters.hostnames = ["127.0.0.1"]
    parameters.cors_origins = ""
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.slots * options.context
    parameters.cache_ram_mib = PROMPT_CACHE_MB
    parameters.fit_params = False  # it would load the model twice
    parameters.verbosity = 1  # errors only
    if options.embeds:
        parameters.embedding = True
        parameters.n_batch = parameters.n_ubatch = options.context  # a text is worked on in one go, or refused
        if options.means:
            parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    if options.threads:
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = options.threads
    return xllamacpp.Server(parameters)


def _answer(started: Started) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(started) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
