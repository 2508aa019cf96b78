"""The process that calculates rewards: reads a function's name and its job, writes the metrics, until nobody asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any, TypeAlias, get_type_hints

import msgspec

ERROR = "error"  # in the place of metrics: why there are none

Answer: TypeAlias = dict[str, float | str]
Calculation: TypeAlias = Callable[[Any], Mapping[str, float]]

_HEAD = 8  # bytes of a frame's length


def serve() -> None:
    """Answer what comes on standard input, until it ends; then the process ends at once, whatever it is doing."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)  # what libraries print is no answer
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    frames: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(requests, frames), daemon=True).start()
    while True:
        write_frame(answers, msgspec.msgpack.encode(answer_to(frames.get())))


def _listen(requests: IO[bytes], frames: SimpleQueue[bytes]) -> None:
    while frame := read_frame(requests):
        frames.put(frame)
    os._exit(0)


def answer_to(frame: bytes) -> Answer:
    """The metrics that the request asks for, or the error."""
    from streamgen.errors import RewardError

    try:
        name, job = msgspec.msgpack.decode(frame, type=tuple[str, msgspec.Raw])
        function, kind = _calculation(name)
        return dict(function(msgspec.msgpack.decode(job, type=kind)))
    except RewardError as error:
        return {ERROR: str(error)}
    except Exception as error:  # the one place where it becomes an answer
        return {ERROR: f"{type(error).__name__}: {error}"}


def _calculation(name: str) -> tuple[Calculation, type[msgspec.Struct]]:
    module, _, attribute = name.partition(":")
    function: Calculation = getattr(import_module(module), attribute)
    return function, get_type_hints(function)["job"]


def write_frame(stream: IO[bytes], content: bytes) -> None:
    """Write the content with its length before it."""
    stream.write(len(content).to_bytes(_HEAD, "big") + content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes:
    """What `write_frame` wrote; nothing where the stream ends."""
    head = stream.read(_HEAD)
    length = int.from_bytes(head, "big") if len(head) == _HEAD else 0
    content = stream.read(length)
    return content if len(content) == length else b""
