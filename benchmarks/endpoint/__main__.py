"""Run a mock endpoint as a process of its own; its port is printed as a line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec

from benchmarks.endpoint.config import Config
from benchmarks.endpoint.connection import Connection
from benchmarks.endpoint.server import Endpoint


async def serve(config: Config, port: int, ready: Callable[[int], object]) -> None:
    """Serve on the loopback until cancelled; `ready` is told the port."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(config, loop)
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", port, backlog=4096)
    async with server:
        ready(server.sockets[0].getsockname()[1])
        await server.serve_forever()


def runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """`asyncio.run`, on uvloop where that is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    run: Callable[[Coroutine[Any, Any, None]], None] = uvloop.run
    return run


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endpoint", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--config", default="{}", help="the fields of benchmarks/endpoint/config.py as JSON")
    parser.add_argument("--core", type=int, help="the processor core to stay on")
    given = parser.parse_args()
    config = msgspec.json.decode(given.config, type=Config)
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    gc.disable()  # there are no cycles to speak of, and a full collection over 100,000 prompts would be seen
    runner()(serve(config, given.port, lambda port: print(msgspec.json.encode({"port": port}).decode(), flush=True)))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
